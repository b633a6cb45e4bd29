"""What is taken out of the image: only what nobody misses, and it is told."""

import asyncio
import json
import py_compile
import re
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator
from importlib.metadata import distribution, distributions
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from phoenix_operator.cluster.resources import NAMESPACES, WATCHED
from without_pruned import TOKEN

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
BY_TIME = py_compile.PycInvalidationMode.TIMESTAMP
BY_KOPF = {"kubernetes.client.models.v1_object_meta"}
"""It asks whether somebody might hand it objects of the library's; nobody does."""


def load_prune() -> Any:
    spec = spec_from_file_location("prune", ROOT / "requirements/prune.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PRUNE = load_prune()


@pytest.fixture
def site_packages(tmp_path: Path) -> Path:
    """One library of a module that is wanted, one that is not, and the package's own."""
    info = tmp_path / "library-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.4\nName: library\nVersion: 1.2\nLicense-Expression: MIT\n")
    package = tmp_path / "library/models"
    package.mkdir(parents=True)
    lines = ["library-1.2.dist-info/METADATA,,"]
    for name in ("__init__.py", "pod.py", "node.py"):
        (package / name).write_text("")
        lines.append(f"library/models/{name},sha256=x,0")
    (info / "RECORD").write_text("\n".join([*lines, "library-1.2.dist-info/RECORD,,", ""]))
    return tmp_path


def test_what_is_listed_goes_and_the_record_is_true(site_packages: Path):
    PRUNE.prune(site_packages, {"library": ["library/models/[!_]*.py"]})
    assert [each.name for each in (site_packages / "library/models").iterdir()] == ["__init__.py"]
    (left,) = distributions(path=[str(site_packages)])
    assert left.files is not None
    assert {each.name for each in left.files} == {"METADATA", "RECORD", "PRUNED", "__init__.py"}
    assert all(each.locate().exists() for each in left.files)
    assert left.read_text("PRUNED") == "library/models/[!_]*.py\n"


@pytest.mark.parametrize(
    ("pruned", "told"),
    [
        pytest.param({"library": ["library/apis/*.py"]}, "library has no library/apis/*.py", id="a glob of nothing"),
        pytest.param({"other": ["library/models/*.py"]}, "other is not installed", id="a library that is not there"),
    ],
)
def test_what_has_moved_is_told(site_packages: Path, pruned: dict[str, list[str]], told: str):
    with pytest.raises(PRUNE.PruneError, match=told.replace("*", r"\*")):
        PRUNE.prune(site_packages, pruned)


@pytest.mark.parametrize("name", PRUNE.PRUNED)
def test_every_glob_finds_something_in_what_is_locked(name: str):
    here = Path(sysconfig.get_path("purelib"))
    assert distribution(name).version
    assert all(each.is_file() for each in PRUNE.found(here, name, PRUNE.PRUNED[name]))


def discovery() -> dict[str, Any]:
    """What a server says that it serves, by path."""
    versions = {each.group: {"version": each.version} for each in WATCHED if each.group}
    named = [{"name": name, "versions": [each], "preferredVersion": each} for name, each in versions.items()]
    told: dict[str, Any] = {"/api": {"versions": ["v1"]}, "/apis": {"groups": named}}
    for each in (*WATCHED, NAMESPACES):  # kopf wants to know that there are namespaces
        path = each.path(None).rpartition("/")[0]
        resource = {
            "name": each.plural,
            "singularName": "",
            "kind": each.kind,
            "namespaced": True,
            "verbs": ["list", "watch"],
        }
        told.setdefault(path, {"resources": []})["resources"].append(resource)
    return told


DISCOVERY = discovery()


@pytest.fixture
async def api_server() -> AsyncIterator[TestServer]:
    """One ConfigMap, which is listed and watched like everything else; only who bears the plug-in's token sees it."""
    there = {"metadata": {"name": "object", "namespace": "place", "uid": "1", "resourceVersion": "1"}}

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(status=401)
        if request.path in DISCOVERY:
            return web.json_response(DISCOVERY[request.path])
        if request.path.endswith("/configmaps/object"):
            return web.json_response(there)
        if "watch" in request.query:
            watched = web.StreamResponse()
            await watched.prepare(request)
            await asyncio.sleep(60)
            return watched
        items = [there] if request.path.endswith("/configmaps") else []
        return web.json_response({"metadata": {"resourceVersion": "1"}, "items": items})

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    async with TestServer(application) as server:
        yield server


async def test_no_program_of_ours_misses_what_is_pruned(api_server: TestServer):
    """Every module of ours, a kubeconfig with a plug-in, a request, kopf's watches, a service account."""
    program = ROOT / "tests/support/without_pruned.py"
    run = [sys.executable, "-W", "error", str(program), str(api_server.make_url("/"))]
    done = await asyncio.to_thread(
        subprocess.run, run, capture_output=True, text=True, timeout=50, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) <= BY_KOPF


@pytest.mark.parametrize("command", sorted(set(re.findall(r"-m (compileall .*?) /opt", DOCKERFILE))))
def test_the_images_byte_code_is_bound_to_what_it_was_made_from(tmp_path: Path, command: str):
    """Even where a library has brought its own, bound to the time of its source, which the build sets anew."""
    (tmp_path / "library.py").write_text("ANSWER = 42\n")
    compiled = Path(py_compile.compile(str(tmp_path / "library.py"), doraise=True, invalidation_mode=BY_TIME) or "")
    assert compiled.read_bytes()[4:8] == b"\0\0\0\0", "by time"
    subprocess.run([sys.executable, "-m", *command.split(), str(tmp_path)], check=True, timeout=30)
    assert compiled.read_bytes()[4:8] == b"\1\0\0\0", "by content, unchecked"
