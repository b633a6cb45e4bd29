"""What every resource carries beside its spec, as the API server admits it."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from phoenix_crds.rules import Resource
from phoenix_crds.values import DNS_LABEL, DNS_SUBDOMAIN, DnsLabel

API_VERSION: Literal["phoenix.trading/v1alpha1"] = "phoenix.trading/v1alpha1"

_QUALIFIED_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_SUBDOMAIN = re.compile(DNS_SUBDOMAIN.strip("^$"))


def _refuse(message: str, hint: str) -> PydanticCustomError:
    return PydanticCustomError("metadata", "{message}", {"message": message, "hint": hint})


def _check_key(key: str) -> None:
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > 253 or not _SUBDOMAIN.fullmatch(prefix)):
        raise _refuse(
            f'the prefix of "{key}" is not a DNS subdomain',
            "lower-case letters, digits, - and . only, for example example.com/team",
        )
    if len(name) > 63 or not _QUALIFIED_NAME.fullmatch(name):
        raise _refuse(
            f'"{key}" is not a valid key',
            "at most 63 letters, digits, -, _ and ., beginning and ending with a letter or digit",
        )


def _check_labels(labels: dict[str, str]) -> dict[str, str]:
    for key, value in labels.items():
        _check_key(key)
        if value and (len(value) > 63 or not _QUALIFIED_NAME.fullmatch(value)):
            raise _refuse(
                f'"{value}" is not a valid value of the label {key}',
                "at most 63 letters, digits, -, _ and ., beginning and ending with a letter or digit",
            )
    return labels


def _check_annotations(annotations: dict[str, str]) -> dict[str, str]:
    for key in annotations:
        _check_key(key.lower())  # as the API server: annotation keys may have capitals in their prefix
    if sum(len(key) + len(value) for key, value in annotations.items()) > 256 * 1024:
        raise _refuse("annotations are larger than 256 KiB together", "keep large data in a ConfigMap")
    return annotations


# Written by the server or other controllers; they come along with `kubectl get -o yaml` and mean nothing here.
_SERVER_OWNED = frozenset(
    {
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers",
        "generateName",
        "managedFields",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
    }
)


ObjectName = Annotated[str, StringConstraints(pattern=DNS_LABEL, min_length=1, max_length=52)]


class ObjectMeta(Resource):
    """The metadata of a resource, as far as people write it or a worker is told it."""

    name: ObjectName
    """Lower-case letters, digits and -. At most 52, because pods and jobs get it with a suffix, within 63."""
    namespace: DnsLabel | None = None
    """Namespace; kubectl's present one where it is absent, `local` for the local runner."""
    uid: str | None = None
    generation: int | None = Field(default=None, ge=0, strict=True)
    labels: Annotated[dict[str, str], AfterValidator(_check_labels)] = Field(default_factory=dict)
    annotations: Annotated[dict[str, str], AfterValidator(_check_annotations)] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _leave_the_servers_fields(cls, written: object) -> object:
        if isinstance(written, dict):
            return {key: value for key, value in written.items() if key not in _SERVER_OWNED}
        return written
