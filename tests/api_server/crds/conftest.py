"""Ways to show a resource to the API server, as text or as an object."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from api_client import YAML, Answer
from api_server import ApiServer

Show = Callable[[str | dict[str, Any]], Answer]

PLURALS = {"MarketMaker": "marketmakers", "TradingAccount": "tradingaccounts"}


@pytest.fixture
def path(namespace: str) -> Callable[[str], str]:
    """Kind → where resources of that kind are in the test's namespace."""
    return lambda kind: f"/apis/phoenix.trading/v1alpha1/namespaces/{namespace}/{PLURALS[kind]}"


@pytest.fixture
def show(api_server: ApiServer, path: Callable[[str], str]) -> Show:
    """A manifest as kubectl sends one (unknown fields are mistakes), judged and not kept."""

    def shower(manifest: str | dict[str, Any]) -> Answer:
        if isinstance(manifest, dict):
            where, content_type = path(manifest["kind"]), "application/json"
        else:
            where, content_type = path(re.findall("^kind: (.+)$", manifest, re.MULTILINE)[0]), YAML
        return api_server.admin.request("POST", where, manifest, content_type, fieldValidation="Strict", dryRun="All")

    return shower


@pytest.fixture
def create(api_server: ApiServer, path: Callable[[str], str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A manifest, kept; gives it as it is stored."""
    return lambda manifest: api_server.admin.create(path(manifest["kind"]), manifest).expect()
