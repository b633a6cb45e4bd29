"""The Helm chart: what it renders, and what was last found right (tests/chart/golden).

    python tests/support/chart.py        # writes the renderings anew, to be read before they are committed

Renderings are committed because Helm is not on every machine: an API server judges them wherever there is one, and
Helm's own output is held against them wherever there is Helm. Beside them stands of which files they were made: where
one of these is another, they are to be made anew.
"""

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]
Key = tuple[str, str, str]

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "phoenix"
VALUES = ROOT / "tests" / "chart" / "values"
GOLDEN = ROOT / "tests" / "chart" / "golden"
NAMES = ("demo", "everywhere", "production")
SYSTEM = "phoenix-system"
MADE_FROM = GOLDEN / "SHA256SUMS"
WHOLE_FILES = ("files/alerts.yaml", "files/crds", "files/dashboards")
"""Of the chart: each is one object's content, and no rendering has it. What they hold is tested where they are made."""
_OF_A_FILE = re.compile(r"(?m)^kind: (CustomResourceDefinition|PrometheusRule)$|^  name: phoenix-dashboard-")
_CONTENT = re.compile(r"(?ms)^(spec|data):.*")
_DRAWN = re.compile(r"(phoenix:|>|apiKey: |apiSecret: )[0-9A-Za-z]{64}")


def find_helm() -> str | None:
    """On PATH, or what requirements/bring-helm brought."""
    return shutil.which("helm") or shutil.which("helm", path=str(Path(sys.prefix) / "helm"))


def helm(*arguments: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
    found = find_helm()
    assert found is not None, "no helm here"
    return subprocess.run([found, *arguments], capture_output=True, text=True, timeout=timeout_s, check=False)


def render(name: str, *arguments: str) -> str:
    """What is installed with these values, in place of what is drawn at random the word DRAWN; of what comes whole from
    a file (definitions, alerts, dashboards) the head.
    """
    words = ("template", "phoenix", str(CHART), f"--namespace={SYSTEM}", f"--values={VALUES / name}.yaml", *arguments)
    done = helm(*words)
    assert done.returncode == 0, done.stderr
    parts = re.split(r"(?m)^(?=---$)", undrawn(done.stdout))
    return "".join(_CONTENT.sub("", part) if _OF_A_FILE.search(part) else part for part in parts)


def render_all(*arguments: str) -> str:
    """As `render` with other values; without the definitions, which are long, unless they are asked for."""
    words = ("template", "phoenix", str(CHART), f"--namespace={SYSTEM}", "--set-json=crds.install=false", *arguments)
    done = helm(*words)
    assert done.returncode == 0, done.stderr
    return undrawn(done.stdout)


def template(*arguments: str) -> dict[Key, Object]:
    """The objects of `render_all`."""
    return objects(render_all(*arguments))


def undrawn(text: str) -> str:
    """With the word DRAWN in place of each password, which is another each time."""
    return _DRAWN.sub(r"\1DRAWN", text)


def made_from() -> str:
    """What the renderings depend on, and they themselves, as `sha256sum` writes it."""
    files = [path for path in CHART.rglob("*") if path.is_file() and path.name != "README.md"]
    whole = tuple(str(CHART / name) for name in WHOLE_FILES)
    paths = [path for path in files if not str(path).startswith(whole)]
    paths += [VALUES / f"{name}.yaml" for name in NAMES] + [GOLDEN / f"{name}.yaml" for name in NAMES]
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(ROOT)}\n" for path in sorted(paths)]
    return "".join(lines)


def golden(name: str) -> str:
    return (GOLDEN / f"{name}.yaml").read_text(encoding="utf-8")


def objects(text: str) -> dict[Key, Object]:
    """By kind, namespace and name."""
    found = [document for document in yaml.safe_load_all(text) if document]
    keyed = {(o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]): o for o in found}
    assert len(keyed) == len(found), "two objects of one name"
    return keyed


def pod_specs(found: dict[Key, Object]) -> dict[Key, Object]:
    """Of pods and of what makes pods; claims of a StatefulSet are volumes of its pods."""
    specs = {}
    for key, each in found.items():
        match each["kind"]:
            case "Pod":
                specs[key] = each["spec"]
            case "Deployment" | "StatefulSet" | "Job":
                spec = each["spec"]["template"]["spec"]
                claims = [claim["metadata"]["name"] for claim in each["spec"].get("volumeClaimTemplates", [])]
                volumes = [*spec.get("volumes", []), *({"name": name, "emptyDir": {}} for name in claims)]
                specs[key] = spec | {"volumes": volumes}
    return specs


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for name in NAMES:
        (GOLDEN / f"{name}.yaml").write_text(render(name), encoding="utf-8")
    MADE_FROM.write_text(made_from(), encoding="utf-8")


if __name__ == "__main__":
    main()
