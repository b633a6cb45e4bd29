"""The kinds that the operator has to do with, as the API server's paths name them."""

from typing import Any
from urllib.parse import quote

import msgspec
from phoenix_crds.metadata import API_VERSION

Json = dict[str, Any]
"""An object of the API server as JSON: its kinds are many, and of most we touch a few fields."""

_GROUP, _, _VERSION = API_VERSION.partition("/")


class Resource(msgspec.Struct, frozen=True):
    """One kind. `group` is empty for the core."""

    group: str
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def told(self) -> str:
        """As RBAC and kubectl name it: `deployments.apps`, `pods`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None, name: str = "", subresource: str = "") -> str:
        """`namespace` None: of all namespaces, or a kind that has none."""
        base = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [base]
        if namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name:
            parts.append(quote(name, safe=""))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


MARKET_MAKERS = Resource(_GROUP, _VERSION, "marketmakers", "MarketMaker")
TRADING_ACCOUNTS = Resource(_GROUP, _VERSION, "tradingaccounts", "TradingAccount")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
PODS = Resource("", "v1", "pods", "Pod")
JOBS = Resource("batch", "v1", "jobs", "Job")
DISRUPTION_BUDGETS = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
EVENTS = Resource("events.k8s.io", "v1", "events", "Event")
CORE_EVENTS = Resource("", "v1", "events", "Event")
NAMESPACES = Resource("", "v1", "namespaces", "Namespace")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
ACCESS_REVIEWS = Resource("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview")

OWN_KINDS = (MARKET_MAKERS, TRADING_ACCOUNTS)
CHILD_KINDS = (DEPLOYMENTS, CONFIG_MAPS, PODS, JOBS, DISRUPTION_BUDGETS)
WATCHED = OWN_KINDS + CHILD_KINDS
BY_KIND = {resource.kind: resource for resource in WATCHED}
