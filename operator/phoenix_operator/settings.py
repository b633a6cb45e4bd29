"""The operator's own configuration: what the pods of workers look like, how careful it is, what it watches.

A YAML file, named with `--config`. Who may edit makers cannot reach it: image, service account and mounts of a worker
come from here and from nowhere else. Unknown fields are refused, with the line and what was probably meant.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from phoenix_crds.documents import read_documents
from phoenix_crds.problems import InvalidResourceError, Problem
from phoenix_crds.rules import Resource, Rule
from phoenix_crds.validation import validate
from phoenix_crds.values import Between, DnsLabel, DnsSubdomain, Duration, Flag, Ratio
from pydantic import Field, StringConstraints

from phoenix_operator.plan.quantities import amount_of

_NO_CEL = ""
"""No API server reads this file."""

Quantity = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|[MGT]|[KMGT]i)?$", max_length=20)]
"""An amount of CPU or memory as Kubernetes writes it: `250m`, `1`, `256Mi`."""
LabelKey = Annotated[
    str, StringConstraints(pattern=r"^([a-z0-9][-a-z0-9.]*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$", max_length=317)
]


class ImagePullPolicy(StrEnum):
    """As Kubernetes means it."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class ResourcePreset(StrEnum):
    """How a worker shares its node."""

    SHARED = "Shared"
    DEDICATED = "Dedicated"


class TolerationOperator(StrEnum):
    """Whether a toleration wants the taint's value."""

    EQUAL = "Equal"
    EXISTS = "Exists"


class TaintEffect(StrEnum):
    """What a taint does to pods that do not tolerate it."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class LogLevel(StrEnum):
    """How much the operator says."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class SecretKey(Resource):
    """One key of a Secret. The operator never reads it: it is mounted."""

    name: DnsSubdomain
    """Name of the Secret, in the namespace of the makers."""
    key: Annotated[str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]+$", min_length=1, max_length=253)] = "url"
    """The key in it."""


class Toleration(Resource):
    """A taint that workers put up with, as in a pod."""

    key: LabelKey | None = None
    """The taint's key; None tolerates every key, with operator Exists."""
    operator: TolerationOperator = TolerationOperator.EQUAL
    """Equal compares the value, Exists does not."""
    value: Annotated[str, StringConstraints(max_length=63)] | None = None
    """The taint's value, for operator Equal."""
    effect: TaintEffect | None = None
    """Which effect is tolerated. None: all."""
    toleration_seconds: int | None = Field(default=None, ge=0, strict=True)
    """For how long a NoExecute taint is tolerated. Unit: s. None: for ever."""


class WorkerResources(Resource):
    """CPU and memory of a worker. Memory is request and limit at once: a trader that is swapped or killed late is
    worse than one that does not start.
    """

    preset: ResourcePreset = ResourcePreset.SHARED
    """Shared asks for a part of a CPU and may use more; Dedicated asks for whole CPUs and gets no more (class
    Guaranteed), which a static CPU manager turns into cores of its own, for the lowest latency."""
    cpu: Quantity | None = None
    """Instead of the preset's: Shared 100m, Dedicated 1 (whole CPUs only)."""
    memory: Quantity | None = None
    """Instead of the preset's: Shared 256Mi, Dedicated 512Mi."""

    rules: ClassVar[tuple[Rule[Any], ...]] = (
        Rule["WorkerResources"](
            fields=("cpu", "preset"),
            cel=_NO_CEL,
            message="a Dedicated worker gets whole CPUs: write cpu as an integer such as 1, or use preset Shared",
            holds=lambda given: (
                given.preset is not ResourcePreset.DEDICATED or given.cpu is None or given.cpu.isdecimal()
            ),
        ),
        Rule["WorkerResources"](
            fields=("cpu", "memory"),
            cel=_NO_CEL,
            message="the API server counts CPU in whole thousandths and memory in whole bytes, more than none of each",
            holds=lambda given: (
                _is_whole(amount_of(given.cpu_quantity) * 1000) and _is_whole(amount_of(given.memory_quantity))
            ),
        ),
    )

    @property
    def cpu_quantity(self) -> str:
        return self.cpu or ("1" if self.preset is ResourcePreset.DEDICATED else "100m")

    @property
    def memory_quantity(self) -> str:
        return self.memory or ("512Mi" if self.preset is ResourcePreset.DEDICATED else "256Mi")

    @property
    def cpu_is_limited(self) -> bool:
        """A shared worker has no CPU limit: being throttled in the middle of a burst costs quotes."""
        return self.preset is ResourcePreset.DEDICATED


def _is_whole(amount: Decimal) -> bool:
    return amount > 0 and amount == amount.to_integral_value()


class PodSecurity(Resource):
    """Who a worker is on its node. It is never root, whatever stands here."""

    run_as_user: int | None = Field(default=65532, ge=1, strict=True)
    """User id. None leaves it to the cluster (OpenShift assigns one)."""
    run_as_group: int | None = Field(default=65532, ge=1, strict=True)
    """Group id. None as above."""
    fs_group: int | None = Field(default=65532, ge=1, strict=True)
    """Group that owns the mounted Secrets, so that nobody else may read them. None as above."""


class LeaderElection(Resource):
    """Of several operators one acts. The defaults are those of Kubernetes' own controllers."""

    lease_name: DnsSubdomain = "phoenix-operator"
    """Name of the Lease."""
    lease_namespace: DnsLabel | None = None
    """Its namespace: that of the operator's pod, or the kubeconfig's. Operators that watch the same makers share one
    Lease, wherever they run, or two act at once."""
    lease_duration: Annotated[Duration, Between("1s", "10m")] = Duration.parse("15s")
    """A leader that has not renewed for so long is followed by another."""
    renew_deadline: Annotated[Duration, Between("500ms", "10m")] = Duration.parse("10s")
    """A leader that could not renew for so long ends itself."""
    retry_period: Annotated[Duration, Between("100ms", "1m")] = Duration.parse("2s")
    """Pause between two attempts to get or renew the Lease."""

    rules: ClassVar[tuple[Rule[Any], ...]] = (
        Rule["LeaderElection"](
            fields=("retryPeriod", "renewDeadline", "leaseDuration"),
            cel=_NO_CEL,
            message=(
                "retryPeriod × 1.2 < renewDeadline < leaseDuration, or two operators would act at once"
                " (2s, 10s and 15s are good)"
            ),
            holds=lambda e: e.retry_period.ns * 1.2 < e.renew_deadline.ns < e.lease_duration.ns,
        ),
    )


class Settings(Resource):
    """The whole file."""

    image: Annotated[str, StringConstraints(pattern=r"^[^\s]+$", min_length=1, max_length=512)]
    """Image of workers and of their withdraw Jobs, with a tag or digest. The operator's own image is meant."""
    image_pull_policy: ImagePullPolicy = ImagePullPolicy.IF_NOT_PRESENT
    """When a node pulls the image."""
    image_pull_secrets: tuple[DnsSubdomain, ...] = ()
    """Names of Secrets in the makers' namespace that let a node pull it."""
    service_account_name: DnsSubdomain = "default"
    """Service account of the workers. It needs no right at all, and its token is not mounted."""

    redis_secret: SecretKey = SecretKey(name="phoenix-redis")
    """Where workers find the URL of Redis (`redis://…`, `rediss://…`, `redis+sentinel://…`)."""
    redis_url_file: Annotated[str, StringConstraints(min_length=1)] | None = None
    """File with that URL for the operator itself; read again for each connection. `--redis` goes first. None, and no
    `--redis`: nothing is read from Redis, no worker is restarted, no switch is seeded, and conditions say so."""

    namespaces: tuple[DnsLabel, ...] = ()
    """Namespaces that are watched, each of which needs the Role. Empty: all, which needs the ClusterRole."""

    resources: WorkerResources = WorkerResources()
    """CPU and memory of a worker."""
    node_selector: dict[LabelKey, str] = Field(default_factory=dict)
    """Labels of the nodes on which workers run."""
    tolerations: tuple[Toleration, ...] = ()
    """Taints that workers put up with."""
    priority_class_name: DnsSubdomain | None = None
    """PriorityClass of the workers: what keeps them when a node gets full."""
    pod_security: PodSecurity = PodSecurity()
    """Who a worker is on its node."""
    pod_labels: dict[LabelKey, str] = Field(default_factory=dict)
    """Further labels of a worker's pod, for network policies and monitoring."""
    pod_annotations: dict[LabelKey, str] = Field(default_factory=dict)
    """Further annotations of a worker's pod, for scrapers and meshes."""
    propagated_labels: tuple[LabelKey, ...] = ()
    """Keys of a maker's labels that its children carry, too. A change rolls nothing: pods keep what they have."""

    max_concurrent_rolls: int = Field(default=1, strict=True, ge=1, le=100)
    """How many workers of one account may be replaced for a cold change at once."""
    roll_on_upgrade: Flag = False
    """True: an operator that renders pods in another way replaces the workers, one after the other. False: they stay as
    they are until a cold field of theirs changes."""
    outage_threshold: Ratio = Field(default=Decimal("0.5"), ge=0, le=1)
    """Share of a venue's symbols that are stale above which it is the venue's outage, and nobody is restarted."""

    workers: int = Field(default=8, strict=True, ge=1, le=64)
    """How many resources are reconciled at once."""
    resync_period: Annotated[Duration, Between("10s", "24h")] = Duration.parse("10m")
    """Each resource is looked at at least so often (jittered), whatever the watches told. It writes nothing where
    nothing is to be done."""
    request_timeout: Annotated[Duration, Between("1s", "2m")] = Duration.parse("10s")
    """How long one request to the API server may take."""
    leader_election: LeaderElection = LeaderElection()
    """Of several operators one acts."""
    canary_period: Annotated[Duration, Between("1s", "10m")] = Duration.parse("30s")
    """How often the leader touches a small object of its own, which must come round every watch: a watch that has died
    silently shows so within three periods, and the process is no longer live."""
    log_level: LogLevel = LogLevel.INFO
    """How much the operator says on stdout, one JSON object a line."""


def parse_settings(file: str, content: bytes) -> Settings:
    """The configuration that a file's content describes; `InvalidResourceError` names every mistake with its line."""
    documents, problems = read_documents(file, content)
    if not problems and len(documents) != 1:
        message = f"holds {len(documents)} documents"
        problems = [Problem(file, 0, "", message, "write one, with at least the field image")]
    if not problems:
        settings, problems = validate(Settings, documents[0])
        if settings is not None:
            return settings
    raise InvalidResourceError(tuple(problems))
