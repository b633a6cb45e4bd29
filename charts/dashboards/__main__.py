"""`PYTHONPATH=charts python -m dashboards [--check]`: writes the dashboards, or names those that would be made anew."""

import sys
from pathlib import Path

from dashboards.fleet import FLEET
from dashboards.grafana import render
from dashboards.maker import MAKER
from dashboards.operators import OPERATOR

FILES = Path(__file__).parents[1] / "phoenix/files/dashboards"


def main(arguments: list[str]) -> int:
    differ = []
    for dashboard in (FLEET, MAKER, OPERATOR):
        path, made = FILES / f"{dashboard.name}.json", render(dashboard)
        if path.exists() and path.read_text(encoding="utf-8") == made:
            continue
        differ.append(path.name)
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(made, encoding="utf-8")
    if differ and "--check" in arguments:
        print(f"not as charts/dashboards makes them: {', '.join(differ)}: make generate", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
