"""The manifests to bend, and a way to read what a test makes of them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from bad_manifests import ACCOUNT, MAKER
from phoenix_crds import Loaded, Problem, check_together, load_manifests


@pytest.fixture
def maker_yaml() -> str:
    return MAKER


@pytest.fixture
def account_yaml() -> str:
    return ACCOUNT


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], tuple[Loaded, list[Problem]]]:
    """Text of a manifest file → what was loaded, and every problem with it, alone and together."""

    def reader(text: str) -> tuple[Loaded, list[Problem]]:
        file = tmp_path / "manifest.yaml"
        file.write_text(text, encoding="utf-8")
        loaded = load_manifests([file])
        return loaded, loaded.problems + check_together(loaded)

    return reader
