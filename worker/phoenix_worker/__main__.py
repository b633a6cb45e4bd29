"""`phoenix worker`: one symbol of one account, as the pod runs it.

Exit status 0 after an orderly stop, 1 where it was refused or ended for a fault (the reason on stderr and, in a pod, as
the termination message), 2 for a usage that is wrong.
"""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path

from phoenix_coordination.redis.client import RedisUrlError, check_url, passwords_of, read_url

from phoenix_worker.runtime.clock import Clock, ClockError
from phoenix_worker.runtime.exchange import PRODUCTION_ENVIRONMENT, ForbiddenError, endpoints_of
from phoenix_worker.runtime.logs import FromStandardLogging, open_log
from phoenix_worker.runtime.probes import DEFAULT_ADDRESS, AddressError, parse_address
from phoenix_worker.runtime.redaction import Redactor, guard_crashes
from phoenix_worker.runtime.resolved import InvalidConfigurationError, Resolved, load
from phoenix_worker.runtime.worker import Options, RefusedError, Worker

TERMINATION_LOG = Path("/dev/termination-log")
"""Where Kubernetes looks for a container's last words; it exists in a pod alone."""
MOST_LAST_WORDS = 4096

EXAMPLE = """example:
  phoenix worker --maker resolved/maker.yaml --account resolved/account.yaml --credentials credentials \\
      --redis redis://127.0.0.1:6379/0 --http 127.0.0.1:8080
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the worker; returns its exit status."""
    arguments = _parser().parse_args(argv)
    redact = Redactor()
    try:
        options = _options(arguments)
        return _run_loop(_run(options, Clock.from_env(), redact))
    except (RefusedError, ForbiddenError, InvalidConfigurationError, ClockError) as error:
        _last_words(redact(str(error)))
        return 1
    except KeyboardInterrupt:
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="phoenix worker",
        description="Makes the market of one symbol: one worker, as the pod runs it.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--maker", required=True, type=Path, metavar="FILE", help="the resolved MarketMaker")
    parser.add_argument("--account", required=True, type=Path, metavar="FILE", help="the resolved TradingAccount")
    parser.add_argument(
        "--credentials", required=True, type=Path, metavar="DIR", help="files apiKey and apiSecret, or privateKey"
    )
    parser.add_argument(
        "--redis",
        required=True,
        metavar="URL|@FILE",
        help="what the account's workers share: redis://, rediss:// (TLS), unix:// or redis+sentinel://; one with a "
        "password only as the first line of a file",
    )
    parser.add_argument(
        "--http", default=DEFAULT_ADDRESS, metavar="HOST:PORT", help="probes, metrics and state (default %(default)s)"
    )
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=_default_state_dir(),
        metavar="DIR",
        help="recordings, the last record, and the installation where the account has no uid (default %(default)s)",
    )
    return parser


def _default_state_dir() -> Path:
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "phoenix"


def _options(arguments: argparse.Namespace) -> Options:
    try:
        address = parse_address(arguments.http)
    except AddressError as error:
        raise RefusedError(f"--http: {error}") from None
    return Options(
        arguments.maker, arguments.account, arguments.credentials, arguments.redis, arguments.state_dir, address
    )


async def _run(options: Options, clock: Clock, redact: Redactor) -> int:
    """Before anything is opened: a contradiction is refused at once."""
    try:
        redis_url = read_url(options.redis)
        redact.hide(passwords_of(redis_url))
        resolved = await load(options.maker_file, options.account_file)
        check_url(redis_url, require_tls=resolved.environment == PRODUCTION_ENVIRONMENT)
    except RedisUrlError as error:
        raise RefusedError(f"--redis: {error}") from None
    endpoints_of(resolved, clock)
    return await _run_worker(options, resolved, redis_url, clock, redact)


async def _run_worker(options: Options, resolved: Resolved, redis_url: str, clock: Clock, redact: Redactor) -> int:
    log, lines = open_log(clock, redact, symbol=resolved.symbol, maker=f"{resolved.namespace}/{resolved.maker}")
    guard_crashes(redact, lambda summary, stack: log.error("crash", text=summary, stack=stack))
    logging.basicConfig(handlers=[FromStandardLogging(log)], level=logging.WARNING, force=True)
    try:
        worker = Worker(options, resolved, redis_url, clock, log, lines, redact)
        code = await worker.run()
    except (RefusedError, ForbiddenError) as error:
        log.critical("refused", text=str(error))
        raise
    finally:
        lines.close()
    if code:
        _last_words(redact(worker.ending))
    return code


def _run_loop(work: Coroutine[object, object, int]) -> int:
    """Uvloop where there is one: it is the faster loop, and the only difference."""
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


def _last_words(text: str) -> None:
    """On stderr for a person, and as the termination message for the operator."""
    sys.stderr.write(f"phoenix worker: {text}\n")
    if TERMINATION_LOG.is_file():
        TERMINATION_LOG.write_text(text[:MOST_LAST_WORDS], encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
