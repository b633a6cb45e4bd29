"""`phoenix operator`: brings makers and accounts into force in a Kubernetes cluster, in it or from outside."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog
import uvloop
from phoenix_coordination.redis.client import RedisUrlError, read_url
from phoenix_crds.problems import InvalidResourceError

from phoenix_operator import logs
from phoenix_operator.cluster.client import connect
from phoenix_operator.cluster.faults import ClusterFault
from phoenix_operator.leader import LeadershipLostError
from phoenix_operator.memory import settle
from phoenix_operator.names import FIELD_MANAGER
from phoenix_operator.process import Operator
from phoenix_operator.settings import Settings, parse_settings

OK, REFUSED = 0, 1
DEFAULT_ADDRESS = "0.0.0.0:8080"
NO_PAGE = "none"
Address = tuple[str, int]
_GRANTEE = "the operator (deploy/ has all that it needs)"
_EXAMPLE = (
    "example:\n  phoenix operator --config operator.yaml --kubeconfig ~/.kube/config --redis redis://127.0.0.1:6379"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs until SIGTERM; returns 0, or 1 with the reason on stderr."""
    arguments = _parser().parse_args(argv)
    try:
        settings = _settings(arguments)
        source = arguments.redis or (f"@{settings.redis_url_file}" if settings.redis_url_file else "")
        if arguments.redis:
            read_url(arguments.redis)  # a person who mistyped it hears so at once
        address = _address(arguments.http)
        page = None if arguments.page == NO_PAGE else _address(arguments.page)
    except (InvalidResourceError, RedisUrlError, _UsageError) as error:
        print(f"phoenix operator: {error}", file=sys.stderr)
        return REFUSED
    logs.configure(settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(settings, source, arguments, address, page))


async def _run(
    settings: Settings, redis: str, arguments: argparse.Namespace, address: Address, page: Address | None
) -> int:
    log = structlog.stdlib.get_logger()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    timeout_s = settings.request_timeout.seconds
    try:
        async with connect(arguments.kubeconfig, arguments.context, timeout_s, FIELD_MANAGER, _GRANTEE) as client:
            operator = Operator(client, settings, redis)
            await operator.probes.open(*address)
            if page is not None:
                await operator.show(*page)
            log.info(
                "started", cluster=client.place, port=operator.probes.port, namespaces=settings.namespaces or "all"
            )
            settle()  # the imports
            try:
                await operator.run(stop)
            finally:
                await operator.page.close()
                await operator.probes.close()
    except LeadershipLostError as lost:
        log.error("not leading any more: ends", reason=str(lost))  # noqa: TRY400 - a stack tells nobody more
        return REFUSED
    except ClusterFault as fault:
        print(f"phoenix operator: {fault}", file=sys.stderr)
        return REFUSED
    except OSError as error:
        print(f"phoenix operator: cannot listen at {arguments.http}: {error.strerror}", file=sys.stderr)
        return REFUSED
    log.info("ended")
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="phoenix operator",
        description=__doc__,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", metavar="FILE", required=True, help="its configuration (YAML): image, resources …")
    parser.add_argument(
        "--kubeconfig", metavar="FILE", help="default: KUBECONFIG, the cluster it runs in, ~/.kube/config"
    )
    parser.add_argument("--context", metavar="NAME", help="context of the kubeconfig (default: its current one)")
    parser.add_argument(
        "--namespace",
        metavar="NAME",
        action="append",
        help="watch only this one; may be given again (default: the file's)",
    )
    parser.add_argument("--redis", metavar="URL|@FILE", default="", help="default: redisUrlFile of the configuration")
    parser.add_argument(
        "--http", metavar="HOST:PORT", default=DEFAULT_ADDRESS, help=f"probes and metrics (default {DEFAULT_ADDRESS})"
    )
    parser.add_argument(
        "--page",
        metavar="HOST:PORT",
        default=NO_PAGE,
        help="a read-only page of the fleet for people; whoever reaches it may look (default none)",
    )
    return parser


class _UsageError(Exception):
    """What was typed, in a sentence."""


def _settings(arguments: argparse.Namespace) -> Settings:
    path = Path(arguments.config)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _UsageError(f"{path} cannot be read: {error.strerror}") from None
    settings = parse_settings(str(path), content)
    if not arguments.namespace:
        return settings
    return settings.model_copy(update={"namespaces": tuple(arguments.namespace)})


def _address(text: str) -> Address:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise _UsageError(f"{text!r} is no address to listen at: write HOST:PORT, for example 127.0.0.1:8080")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    return host or "0.0.0.0", int(port)  # noqa: S104 - probes come from outside the pod


if __name__ == "__main__":
    sys.exit(main())
