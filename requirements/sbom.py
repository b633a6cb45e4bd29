#!/usr/bin/env python3
"""`sbom.py SITE-PACKAGES`: what is installed there, with versions and licences, as CycloneDX 1.6 on stdout.

Part of the image's build, so it needs nothing but Python, says nothing of time or chance (two builds of one source are
equal), and fails where a distribution states no licence: somebody has to look before it is shipped.
"""

import json
import platform
import re
import sys
from collections.abc import Sequence
from importlib.metadata import Distribution, distributions
from typing import Any

OURS = "phoenix-market-maker"
SHORT = 60
"""Some put the whole text of a licence where its name belongs."""


class SbomError(Exception):
    """What keeps the list from being whole."""


def name_of(distribution: Distribution) -> str:
    """As package indices spell it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()


def licenses_of(distribution: Distribution) -> list[dict[str, Any]]:
    """As the distribution states it: an SPDX expression (PEP 639), else a name in words, else the classifiers."""
    for expression in values_of(distribution, "License-Expression"):
        return [{"expression": expression}]
    for words in values_of(distribution, "License"):
        if 0 < len(words) <= SHORT and words != "UNKNOWN":
            return [{"license": {"name": words}}]
    classifiers = [each for each in values_of(distribution, "Classifier") if each.startswith("License :: ")]
    return [{"license": {"name": each.rpartition(" :: ")[2]}} for each in sorted(classifiers)]


def values_of(distribution: Distribution, field: str) -> list[str]:
    return [str(value).strip() for value in distribution.metadata.get_all(field) or []]


def component_of(distribution: Distribution) -> dict[str, Any]:
    name, version, licenses = name_of(distribution), distribution.version, licenses_of(distribution)
    if not licenses:
        raise SbomError(f"{name} {version} states no licence: look what it is before it is shipped, or do without it")
    purl = f"pkg:pypi/{name}@{version}"
    pruned = (distribution.read_text("PRUNED") or "").split()
    return {
        "type": "application" if name == OURS else "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "licenses": licenses,
        **({"pedigree": {"notes": f"without {', '.join(pruned)}"}} if pruned else {}),
    }


def interpreter() -> dict[str, Any]:
    """Of the base image, as everything else of the operating system, which scanners of images find by themselves."""
    version = platform.python_version()
    licenses = [{"license": {"id": "PSF-2.0"}}]
    return {
        "type": "platform",
        "bom-ref": f"pkg:generic/python@{version}",
        "name": "python",
        "version": version,
        "licenses": licenses,
    }


def sbom(site_packages: str) -> dict[str, Any]:
    found = sorted(distributions(path=[site_packages]), key=name_of)
    if not any(name_of(each) == OURS for each in found):
        raise SbomError(f"{OURS} is not installed in {site_packages}")
    components = [component_of(each) for each in found]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": next(each for each in components if each["name"] == OURS)},
        "components": [interpreter(), *(each for each in components if each["name"] != OURS)],
    }


def main(words: Sequence[str]) -> int:
    if len(words) != 1:
        sys.stderr.write("usage: sbom.py SITE-PACKAGES\n")
        return 2
    try:
        json.dump(sbom(words[0]), sys.stdout, indent=1)
    except SbomError as error:
        sys.stderr.write(f"sbom: {error}\n")
        return 1
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
