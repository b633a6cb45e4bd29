"""`make test-cluster`: brings a cluster, the image and an installation together, and runs the tests of this folder.

Environment:

    KUBECONFIG        the cluster. Without it one is made with kind, and deleted at the end
    IMAGE_LOAD        a command that takes the tar of an image as its last word and brings it to every node
                      (default: kind's)
    BASE_IMAGE        what the image is built from (default: the Dockerfile's)
    BUILD_ARGS        further words for `docker build`, as --network host
    REDIS_IMAGE       an image that has redis-server. Default: that of deploy/redis, or, where BASE_IMAGE is given, one
                      that is made from it and the redis-server of .venv
    API_SERVER_STOP   commands that take the API server away and bring it back (default: kind's; without them that test
    API_SERVER_START  is skipped)

Further words go to pytest. What it installed is removed at the end.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "cluster"
IMAGE = "phoenix:dev"
NEXT_IMAGE = "phoenix:next"
"""The same once more, as a release that follows brings it: under another name."""
REDIS_IMAGE = "phoenix-redis:dev"
KIND = "phoenix-test"
MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"


class NotHereError(Exception):
    """What this machine lacks; the text says what to do."""


def main(words: list[str]) -> int:
    try:
        with cluster() as environment:
            bring_images(environment)
            environment["PHOENIX_TEST_CLUSTER"] = environment.get("KUBECONFIG") or os.environ["KUBECONFIG"]
            command = [sys.executable, "-m", "pytest", "-q", "--timeout=900", "tests/cluster", *words]
            return subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=False).returncode
    except NotHereError as error:
        sys.stderr.write(f"make test-cluster: {error}\n")
        return 1
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"make test-cluster: {shlex.join(map(str, error.cmd))} failed\n")
        return 1


@contextmanager
def cluster() -> Iterator[dict[str, str]]:
    """What the environment has to say of a cluster, for as long as there is one."""
    for program in ("docker", "kubectl"):
        if shutil.which(program) is None:
            raise NotHereError(f"no {program} on PATH: install it")
    if "KUBECONFIG" in os.environ:
        if "IMAGE_LOAD" not in os.environ:
            raise NotHereError('KUBECONFIG is set: say with IMAGE_LOAD="command that takes a tar" how images get there')
        yield {}
        return
    if shutil.which("kind") is None:
        raise NotHereError("no cluster: set KUBECONFIG and IMAGE_LOAD, or install kind")
    with tempfile.TemporaryDirectory() as directory:
        kubeconfig = f"{directory}/kubeconfig"
        _do("kind", "create", "cluster", "--name", KIND, "--kubeconfig", kubeconfig, "--wait", "120s")
        node = f"docker exec {KIND}-control-plane mv"
        try:
            yield {
                "KUBECONFIG": kubeconfig,
                "IMAGE_LOAD": f"kind load image-archive --name {KIND}",
                "API_SERVER_STOP": f"{node} {MANIFEST} /tmp/kube-apiserver.yaml",
                "API_SERVER_START": f"{node} /tmp/kube-apiserver.yaml {MANIFEST}",
            }
        finally:
            _do("kind", "delete", "cluster", "--name", KIND)


def bring_images(environment: dict[str, str]) -> None:
    """Builds what the installation runs, and loads it. Tells the tests which Redis there is."""
    base = os.environ.get("BASE_IMAGE")
    arguments = [
        *(["--build-arg", f"BASE_IMAGE={base}"] if base else []),
        *shlex.split(os.environ.get("BUILD_ARGS", "")),
    ]
    _do("docker", "build", "--quiet", *arguments, "--tag", IMAGE, str(ROOT))
    _do("docker", "tag", IMAGE, NEXT_IMAGE)
    images = [IMAGE, NEXT_IMAGE]
    if base and "REDIS_IMAGE" not in os.environ:
        server = ROOT / ".venv" / "bin" / "redis-server"
        program = str(server) if server.exists() else shutil.which("redis-server")
        if program is None:
            raise NotHereError("no redis-server here for an image of it: set REDIS_IMAGE, or install Redis")
        with tempfile.TemporaryDirectory() as directory:
            shutil.copy(program, f"{directory}/redis-server")
            shutil.copy(ROOT / "tests" / "cluster" / "redis.Dockerfile", f"{directory}/Dockerfile")
            _do("docker", "build", "--quiet", *arguments, "--tag", REDIS_IMAGE, directory)
        images.append(REDIS_IMAGE)
        environment["REDIS_IMAGE"] = REDIS_IMAGE
    load = shlex.split(environment.get("IMAGE_LOAD") or os.environ["IMAGE_LOAD"])
    BUILD.mkdir(parents=True, exist_ok=True)
    archive = BUILD / "images.tar"
    try:
        _do("docker", "save", "--output", str(archive), *images)
        _do(*load, str(archive))
    finally:
        archive.unlink(missing_ok=True)


def _do(*command: str) -> None:
    sys.stderr.write(f"── {shlex.join(command)}\n")
    subprocess.run(command, check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
