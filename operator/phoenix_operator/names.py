"""Every label, annotation, finalizer, condition, reason and Event word of the operator, in one place."""

from enum import StrEnum

GROUP = "phoenix.trading"
FIELD_MANAGER = "phoenix-operator"
"""Owner of the fields that we write; foreign fields have other owners and stay as they are."""
CONTAINER = "worker"
"""The only container of our pods."""


class Label(StrEnum):
    """What children are found and selected by."""

    NAME = "app.kubernetes.io/name"
    COMPONENT = "app.kubernetes.io/component"
    MANAGED_BY = "app.kubernetes.io/managed-by"
    MAKER = "phoenix.trading/maker"
    ACCOUNT = "phoenix.trading/account"
    SYMBOL = "phoenix.trading/symbol"
    TEMPLATE = "phoenix.trading/template"
    """Template hash: of pods, of the ConfigMap that they read, of the Deployment that makes them."""


APPLICATION = "phoenix"
"""Value of `Label.NAME`."""


class Component(StrEnum):
    """Values of `Label.COMPONENT`: a pod trades, or it withdraws what a deleted maker has left."""

    WORKER = "worker"
    WITHDRAW = "withdraw"


CANARY = "phoenix-operator-canary"
"""Name of the ConfigMap that must come round the watches."""

SELECTOR = f"{Label.NAME}={APPLICATION},{Label.MANAGED_BY}={FIELD_MANAGER}"
"""Label selector of the watches: exactly what we have made, pods included."""


class Annotation(StrEnum):
    """Ours, but for the last."""

    RECONCILE = "phoenix.trading/reconcile"
    """On a maker, by a person: `disabled` leaves its children as they are, until it is deleted or this is removed."""
    WISHED = "phoenix.trading/wished"
    """On a child: digest of all that we wish of it, so that a field that is no longer wished is removed."""
    REVISION = "phoenix.trading/template-revision"
    """On a Deployment: which revision of our rendering made its pod template."""
    CONNECTION = "phoenix.trading/connection"
    """On a Deployment: digest of how its pods reach the exchange and under which key."""
    NUDGE = "phoenix.trading/nudge"
    """On a pod: `<what it shall read>.<attempt>.<ms>`. Any change has its kubelet look at the ConfigMap at once."""
    TOUCHED = "phoenix.trading/touched"
    """On the canary: who touched it last, and how often."""
    DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
    """Kubernetes' own: of two pods the one with the lower cost goes first."""


RECONCILE_DISABLED = "disabled"


class Finalizer(StrEnum):
    WITHDRAW = "phoenix.trading/withdraw"
    """On a maker: until its orders are withdrawn, or it is known what may be left."""
    IN_USE = "phoenix.trading/in-use"
    """On an account: while makers refer to it. They need its key to withdraw, and its status remembers the switch."""


class ConditionType(StrEnum):
    """Of makers; accounts have `READY`, `ACCOUNT_CONFLICT`, `VENUE_OUTAGE`, `EMERGENCY` and the last two."""

    READY = "Ready"
    QUOTING = "Quoting"
    LEASE_HELD = "LeaseHeld"
    PRICE_FRESH = "PriceFresh"
    RISK_HALTED = "RiskHalted"
    VENUE_OUTAGE = "VenueOutage"
    SYMBOL_CONFLICT = "SymbolConflict"
    ACCOUNT_CONFLICT = "AccountConflict"
    EMERGENCY = "Emergency"
    RECONCILING = "Reconciling"
    """Only while something is on its way (kstatus: in progress)."""
    STALLED = "Stalled"
    """Only where a person has to change the configuration; no retry heals it (kstatus: failed)."""


class ConditionReason(StrEnum):
    """Why a condition is as it is, in the operator's words; the worker's are `phoenix_coordination.state.Reason`."""

    # Ready
    IN_FORCE = "InForce"
    HELD = "HeldByPolicy"
    """In force in pods of an older rendering, which settings leave as they are."""
    STARTING = "Starting"
    APPLYING = "Applying"
    NOT_TAKEN = "NotTaken"
    ROLLING_OUT = "RollingOut"
    ROLL_WAITS = "RollWaits"
    RECONCILE_DISABLED = "ReconcileDisabled"
    CONFIGURATION_INVALID = "ConfigurationInvalid"
    CONFIGURATION_REFUSED = "ConfigurationRefused"
    NOT_ADMITTED = "NotAdmitted"
    ACCOUNT_NOT_FOUND = "AccountNotFound"
    ACCOUNT_INVALID = "AccountInvalid"
    ACCOUNT_DELETED = "AccountDeleted"
    SYMBOL_CONFLICT = "SymbolConflict"
    SYMBOL_OCCUPIED = "SymbolOccupied"
    ACCOUNT_CONFLICT = "AccountConflict"
    CHILD_NOT_OURS = "ChildNotOurs"
    API_REFUSED = "ApiRefused"
    IMAGE_NOT_PULLED = "ImageNotPulled"
    CRASHING = "Crashing"
    UNSCHEDULABLE = "Unschedulable"
    CONTAINER_NOT_CREATED = "ContainerNotCreated"
    PODS_REFUSED = "PodsRefused"
    RECORDS_UNKNOWN = "RecordsUnknown"
    NO_RECORD = "NoRecord"
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    WITHDRAWING = "Withdrawing"
    # The other conditions
    LEADING = "Leading"
    NOBODY_LEADS = "NobodyLeads"
    FRESH = "Fresh"
    NOT_HALTED = "NotHalted"
    SERVING = "Serving"
    SILENT = "Silent"
    NOT_STOPPED = "NotStopped"
    DECLARED = "Declared"
    STICKY = "Sticky"
    IDENTIFIED = "Identified"
    NOT_IDENTIFIED = "NotIdentified"
    REDIS_UNREACHABLE = "RedisUnreachable"
    STATUS_UNREADABLE = "StatusUnreadable"
    IN_USE = "InUse"


class EventReason(StrEnum):
    """What an Event is about."""

    CREATED = "Created"
    CORRECTED = "Corrected"
    ROLLING_OUT = "RollingOut"
    ROLL_WAITS = "RollWaits"
    RESTARTED = "Restarted"
    SCALED_TO_ZERO = "ScaledToZero"
    WITHDRAWING = "Withdrawing"
    WITHDRAWN = "Withdrawn"
    NOT_WITHDRAWN = "NotWithdrawn"
    RAMP_STAGE = "RampStage"
    SWITCH_SEEDED = "SwitchSeeded"
    SWITCH_CHANGED = "SwitchChanged"
    REQUEST_CARRIED_OUT = "RequestCarriedOut"
    REQUEST_REFUSED = "RequestRefused"
    IDENTIFIED = "Identified"
    FIELD_FIGHT = "FieldFight"
    API_REFUSED = "ApiRefused"
    READY = "Ready"
    NOT_READY = "NotReady"
    QUOTING = "Quoting"
    NOT_QUOTING = "NotQuoting"
    LEASE_HELD = "LeaseHeld"
    LEASE_NOT_HELD = "LeaseNotHeld"
    PRICE_FRESH = "PriceFresh"
    PRICE_STALE = "PriceStale"
    RISK_HALTED = "RiskHalted"
    RISK_RESUMED = "RiskResumed"
    VENUE_OUTAGE = "VenueOutage"
    VENUE_SERVES = "VenueServes"
    SYMBOL_CONFLICT = "SymbolConflict"
    SYMBOL_FREE = "SymbolFree"
    ACCOUNT_CONFLICT = "AccountConflict"
    ACCOUNT_CONFLICT_ENDED = "AccountConflictEnded"
    EMERGENCY = "Emergency"
    EMERGENCY_ENDED = "EmergencyEnded"


class EventAction(StrEnum):
    """What was done when the Event came about (`action` of events.k8s.io)."""

    RECONCILE = "Reconcile"
    APPLY = "Apply"
    ROLL = "Roll"
    RESTART = "Restart"
    SCALE = "Scale"
    DELETE = "Delete"
    WITHDRAW = "Withdraw"
    SEED = "Seed"
    SWITCH = "Switch"
    OBSERVE = "Observe"


class EventType(StrEnum):
    NORMAL = "Normal"
    WARNING = "Warning"
