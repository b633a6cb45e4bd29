"""Prometheus' own programs, and what is committed for them."""

import asyncio
from typing import Any

import pytest
import yaml
from metric_definitions import Definition, operator_definitions, worker_definitions
from prometheus import FILES, program


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
