"""Whether a live object is as we wish it. Only what we wish counts: what others add stays, and is no difference.

A wished mapping is there when each of its fields is; a wished list when each of its items is. Items of the lists that
Kubernetes merges by a key (containers, env, ports, mounts, volumes, owners) are found by that key, others by their
position. What we wished once and wish no longer shows by the digest of the whole wish in an annotation.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from phoenix_operator.names import Annotation
from phoenix_operator.plan.facts import Manifest

_KEYS = ("mountPath", "containerPort", "uid", "name", "type")
"""Merge keys of the lists that we write, most telling first: a mount has a name, too, that may come twice."""


def sealed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The wished object with the digest of all that is wished in its annotations."""
    meta = dict(manifest["metadata"])
    meta["annotations"] = {**meta.get("annotations", {}), Annotation.WISHED.value: digest(manifest)[:16]}
    return {**manifest, "metadata": meta}


def digest(value: object) -> str:
    """Of plain data, in hex; the same whatever the order of its fields."""
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()


def difference(wished: Mapping[str, Any], live: Manifest) -> str:
    """The first wished field that is not there as wished, with both values, for people; "" where all are."""
    return _of_mapping(wished, live, "")


def _of(wished: object, live: object, path: str) -> str:
    if isinstance(wished, dict):
        return _of_mapping(wished, live, path) if isinstance(live, dict) else _told(path, wished, live)
    if isinstance(wished, list):
        return _of_list(wished, live, path) if isinstance(live, list) else _told(path, wished, live)
    # bool is an int in Python, and never in JSON.
    same = wished == live and isinstance(wished, bool) == isinstance(live, bool)
    return "" if same else _told(path, wished, live)


def _of_mapping(wished: Mapping[str, Any], live: Mapping[str, Any], path: str) -> str:
    for name, value in wished.items():
        inner = f"{path}.{name}" if path else name
        if name not in live:
            return _told(inner, value, None)
        found = _of(value, live[name], inner)
        if found:
            return found
    return ""


def _of_list(wished: list[Any], live: list[Any], path: str) -> str:
    key = _merge_key(wished)
    if key is None:
        if len(wished) != len(live):
            return _told(path, wished, live)
        pairs = zip(range(len(wished)), wished, live, strict=True)
        return next((found for at, one, other in pairs if (found := _of(one, other, f"{path}[{at}]"))), "")
    by_key = {each.get(key): each for each in live if isinstance(each, dict)}
    for each in wished:
        inner = f"{path}[{each[key]}]"
        if each[key] not in by_key:
            return _told(inner, each, None)
        found = _of_mapping(each, by_key[each[key]], inner)
        if found:
            return found
    return ""


def _merge_key(wished: list[Any]) -> str | None:
    if not wished or not all(isinstance(each, dict) for each in wished):
        return None
    return next((key for key in _KEYS if all(key in each for each in wished)), None)


def _told(path: str, wished: object, live: object) -> str:
    if live is None:
        return f"{path} is missing"
    return f"{path} is {_short(live)}, wished {_short(wished)}"


def _short(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    text = str(value)
    return text if len(text) <= 60 and "\n" not in text else f"a text of {len(text)} characters"
