"""Prometheus' own programs, and what is committed for them."""

import asyncio
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from metric_definitions import Definition, operator_definitions, worker_definitions

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "charts/phoenix/files"


def program(name: str) -> str:
    """Its path; skips the test where it is not there."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{sys.prefix}/prometheus")
    if found is None:
        pytest.skip(f"no {name}: requirements/bring-promtool .venv")
    return found


@pytest.fixture(scope="session")
def promtool() -> str:
    return program("promtool")


@pytest.fixture(scope="session")
def alerts() -> dict[str, dict[str, Any]]:
    """Every rule, by the name of its alert."""
    groups = yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


@pytest.fixture(scope="session")
def definitions() -> dict[str, Definition]:
    """Every metric of workers and operators, by its name."""
    return asyncio.run(worker_definitions()) | operator_definitions()
