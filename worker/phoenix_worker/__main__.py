"""`phoenix worker`: one symbol of one account, as the pod runs it.

Exit status 0 after an orderly stop, 1 where it was refused or ended for a fault (the reason on stderr and, in a pod, as
the termination message), 2 for a usage that is wrong. With `--withdraw` it quotes nothing and takes the maker from the
exchange: 0 where all is as it was asked for.
"""

import argparse
import asyncio
import logging
import os
import re
import sys
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from phoenix_coordination.redis.client import RedisUrlError, check_url

from phoenix_worker.runtime.clock import Clock, ClockError
from phoenix_worker.runtime.entrance import RefusedError
from phoenix_worker.runtime.exchange import PRODUCTION_ENVIRONMENT, ForbiddenError, endpoints_of
from phoenix_worker.runtime.files import look
from phoenix_worker.runtime.logs import FromStandardLogging, LineWriter, Log, open_log
from phoenix_worker.runtime.probes import DEFAULT_ADDRESS, AddressError, parse_address
from phoenix_worker.runtime.redaction import Redactor, guard_crashes
from phoenix_worker.runtime.redis_url import read_redis_url
from phoenix_worker.runtime.resolved import InvalidConfigurationError, Resolved, load
from phoenix_worker.runtime.withdrawal import DEADLINE_S, Terms, Withdrawal
from phoenix_worker.runtime.worker import Options, Worker

TERMINATION_LOG = Path("/dev/termination-log")
"""Where Kubernetes looks for a container's last words; it exists in a pod alone."""
MOST_LAST_WORDS = 4096
_SECONDS = {"s": 1, "m": 60}

EXAMPLE = """example:
  phoenix worker --maker resolved/maker.yaml --account resolved/account.yaml --credentials credentials \\
      --redis redis://127.0.0.1:6379/0 --http 127.0.0.1:8080
  … --withdraw --flatten            its orders out, its position closed; then it is nobody's any more
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the worker; returns its exit status."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    terms = _terms(parser, arguments)
    redact = Redactor()
    try:
        options = _options(arguments)
        return _run_loop(_run(options, terms, Clock.from_env(), redact))
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
        "--credentials", required=True, type=Path, metavar="DIR", help="files apiKey, and apiSecret or privateKey"
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
    withdrawal = parser.add_argument_group("leaving the exchange for good")
    withdrawal.add_argument(
        "--withdraw",
        action="store_true",
        help="quote nothing: wait for the lease, take this maker's orders out, settle the ledger, and end",
    )
    withdrawal.add_argument("--flatten", action="store_true", help="with --withdraw: close its position, too")
    withdrawal.add_argument(
        "--deadline",
        type=_duration_s,
        metavar="TIME",
        help=f"with --withdraw: give up after TIME (90s, 2m; default {DEADLINE_S:.0f}s), and say what is left",
    )
    return parser


def _terms(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> Terms | None:
    """What a withdrawal is to do; `None` for a worker that quotes."""
    if arguments.withdraw:
        return Terms(arguments.flatten, arguments.deadline or DEADLINE_S)
    if arguments.flatten or arguments.deadline is not None:
        parser.error(f"{'--flatten' if arguments.flatten else '--deadline'} is for --withdraw: a worker quotes")
    return None


def _duration_s(text: str) -> float:
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([sm])", text)
    if found is None or not float(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no time: write for example 90s or 2m")
    return float(found[1]) * _SECONDS[found[2]]


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


async def _run(options: Options, terms: Terms | None, clock: Clock, redact: Redactor) -> int:
    """Before anything is opened: a contradiction is refused at once."""
    seen = look((options.maker_file, options.account_file))
    try:
        redis_url = read_redis_url(options.redis, redact)
        resolved = await load(options.maker_file, options.account_file)
        check_url(redis_url, require_tls=resolved.environment == PRODUCTION_ENVIRONMENT)
    except RedisUrlError as error:
        raise RefusedError(f"--redis: {error}") from None
    endpoints_of(resolved, clock)
    with _logging(resolved, clock, redact) as (log, lines):
        runs: Worker | Withdrawal
        if terms is None:
            runs = Worker(options, resolved, redis_url, clock, log, lines, redact, seen=seen)
        else:
            runs = Withdrawal(options, terms, resolved, redis_url, clock, log, redact)
        code = await runs.run()
    if code:
        _last_words(redact(runs.ending))
    elif terms is not None:
        _tell_pod(redact(runs.ending))
    return code


@contextmanager
def _logging(resolved: Resolved, clock: Clock, redact: Redactor) -> Iterator[tuple[Log, LineWriter]]:
    log, lines = open_log(clock, redact, symbol=resolved.symbol, maker=f"{resolved.namespace}/{resolved.maker}")
    guard_crashes(redact, lambda summary, stack: log.error("crash", text=summary, stack=stack))
    logging.basicConfig(handlers=[FromStandardLogging(log)], level=logging.WARNING, force=True)
    try:
        yield log, lines
    except (RefusedError, ForbiddenError) as error:
        log.critical("refused", text=str(error))
        raise
    finally:
        lines.close()


def _run_loop(work: Coroutine[object, object, int]) -> int:
    """Uvloop where there is one: it is the faster loop, and the only difference."""
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


def _last_words(text: str) -> None:
    """On stderr for a person, and for the operator."""
    sys.stderr.write(f"phoenix worker: {text}\n")
    _tell_pod(text)


def _tell_pod(text: str) -> None:
    """As the termination message of the container, where this is one."""
    if TERMINATION_LOG.is_file():
        TERMINATION_LOG.write_text(text[:MOST_LAST_WORDS], encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
