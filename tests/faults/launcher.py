"""A zygote: imports the worker once, and forks a real worker process for each line that it reads.

It speaks JSON lines: a `Launch` in; `Began` and `Ended` out. What it changes in a worker (failpoints, a clock that can
jump, a mutation that the judge must find) it changes in the forked process; the packages know nothing of it.
"""

import ctypes
import gc
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import uvloop
from controls import Controls, Deed, Failpoint
from mutations import Mutation, mutate
from phoenix_coordination.port import LeaseGranted, LeaseTimes, Message
from phoenix_coordination.redis import scripts, starts
from phoenix_coordination.redis.scripts import Script
from phoenix_worker.core import statistics
from phoenix_worker.core.actions import Cancel, CancelAll, Place
from phoenix_worker.runtime.clock import Clock
from phoenix_worker.runtime.entrance import RefusedError
from phoenix_worker.runtime.logs import open_log
from phoenix_worker.runtime.redaction import Redactor, guard_crashes
from phoenix_worker.runtime.resolved import Resolved
from phoenix_worker.runtime.shell import Shell
from phoenix_worker.runtime.worker import Options, Worker
from phoenix_worker.venue.binance.gateway import BinanceVenue
from phoenix_worker.venue.binance.transport import Connection
from phoenix_worker.venue.port import VenueAction

_PR_SET_PDEATHSIG = 1
_LOOK_S = 0.02


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """A worker to start. `resolved` is the file of its parameters as the worker's own resolver encodes them."""

    name: str
    resolved: str
    maker_file: str
    account_file: str
    credentials: str
    redis_url: str
    base_url: str
    account_uid: str
    state_dir: str
    controls: str
    log: str
    times: LeaseTimes
    mutation: Mutation


class Began(msgspec.Struct, frozen=True, tag=True):
    name: str
    pid: int


class Ended(msgspec.Struct, frozen=True, tag=True):
    """`status`: the exit status, negative for a signal."""

    name: str
    pid: int
    status: int


def main() -> None:
    """Until its input ends; then it takes its children with it."""
    gc.freeze()
    children: dict[int, str] = {}
    pending = b""
    while True:
        readable, _, _ = select.select([0], [], [], _LOOK_S)
        if readable:
            data = os.read(0, 65_536)
            if not data:
                break
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                launch = msgspec.json.decode(line, type=Launch)
                pid = _fork(launch)
                children[pid] = launch.name
                _tell(Began(launch.name, pid))
        while children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            _tell(Ended(children.pop(pid), pid, os.waitstatus_to_exitcode(status)))
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def _tell(message: Began | Ended) -> None:
    os.write(1, msgspec.json.encode(message) + b"\n")


def _fork(launch: Launch) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        log = os.open(launch.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        status = _run(launch)
    except BaseException as error:  # noqa: BLE001 - a forked process never returns into its parent's loop
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
    finally:
        _leave(status)


def _leave(status: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _run(launch: Launch) -> int:
    controls = Controls.open(Path(launch.controls))
    statistics.WARM_SAMPLES = 1  # the market of a cell began a moment ago, and has no history to preload
    os.environ["POD_UID"] = launch.name
    mutate(launch.mutation)
    _wrap(controls)
    resolved = msgspec.structs.replace(
        msgspec.msgpack.decode(Path(launch.resolved).read_bytes(), type=Resolved),
        base_url=launch.base_url,
        account_uid=launch.account_uid,
    )
    clock = Clock()
    clock.wall_ns = lambda: time.time_ns() + controls.jump_ns
    options = Options(
        Path(launch.maker_file),
        Path(launch.account_file),
        Path(launch.credentials),
        launch.redis_url,
        Path(launch.state_dir),
        ("127.0.0.1", 0),
    )
    return uvloop.run(_live(options, resolved, launch.redis_url, clock, launch.times))


async def _live(options: Options, resolved: Resolved, redis_url: str, clock: Clock, times: LeaseTimes) -> int:
    """What `phoenix worker` does once its arguments are read."""
    redact = Redactor()
    log, lines = open_log(clock, redact, symbol=resolved.symbol, maker=f"{resolved.namespace}/{resolved.maker}")
    guard_crashes(redact, lambda summary, stack: log.error("crash", text=summary, stack=stack))
    try:
        return await Worker(options, resolved, redis_url, clock, log, lines, redact, times=times).run()
    except RefusedError as error:
        log.critical("refused", text=str(error))
        return 1
    finally:
        lines.close()


# -- failpoints ------------------------------------------------------------------------------------


def _wrap(controls: Controls) -> None:
    """Puts a failpoint wherever a pause, or a death, could do the most harm."""

    def at(failpoint: Failpoint) -> None:
        if controls.armed == failpoint:
            match controls.act():
                case Deed.FREEZE:
                    os.kill(os.getpid(), signal.SIGSTOP)
                case Deed.DIE:
                    os.kill(os.getpid(), signal.SIGKILL)

    _wrap_venue(at)
    _wrap_scripts(at)
    # The storm's exchange limits no weight, which who starts cannot know yet: so many restarts would wait for minutes.
    starts.starting_cap = lambda _: 1_000_000_000
    hear = Shell.hear

    def heard(shell: Shell, message: Message) -> None:
        if isinstance(message, LeaseGranted):
            at(Failpoint.GRANTED)
        hear(shell, message)

    Shell.hear = heard  # type: ignore[method-assign] # a failpoint


def _wrap_venue(at: Any) -> None:
    perform, send = BinanceVenue.perform, Connection.send

    def performed(venue: BinanceVenue, action: VenueAction) -> None:
        match action:
            case Place():
                at(Failpoint.APPROVED)
            case Cancel() | CancelAll():
                at(Failpoint.CANCEL)
            case _:
                pass
        perform(venue, action)

    def sent(connection: Connection, text: bytes) -> None:
        places = b'"order.place"' in text
        if places:
            at(Failpoint.CHECKED)
        elif b'"order.modify"' in text:
            at(Failpoint.AMENDING)
        send(connection, text)
        if places:
            at(Failpoint.SENT)

    BinanceVenue.perform = performed  # type: ignore[method-assign] # a failpoint
    Connection.send = sent  # type: ignore[method-assign] # a failpoint


_BEFORE = {
    Script.BEAT: Failpoint.BEATING,
    Script.RESERVE: Failpoint.RESERVING,
    Script.REBUILD: Failpoint.REBUILDING,
    Script.RELEASE: Failpoint.RELEASING,
    Script.RAISE: Failpoint.RAISING,
    Script.SNAPSHOT: Failpoint.REMEMBERING,
}
_AFTER = {Script.BEAT: Failpoint.BEATEN, Script.RESERVE: Failpoint.RESERVED}


def _wrap_scripts(at: Any) -> None:
    call = scripts.call

    async def called(client: Any, script: Script, *rest: Any) -> Any:
        if script in _BEFORE:
            at(_BEFORE[script])
        answer = await call(client, script, *rest)
        if script in _AFTER:
            at(_AFTER[script])
        return answer

    wrapped = 0
    for name, module in list(sys.modules.items()):
        if name.startswith("phoenix_coordination.redis.") and getattr(module, "call", None) is call:
            module.call = called  # type: ignore[attr-defined] # a failpoint
            wrapped += 1
    if wrapped < 3:
        raise RuntimeError("the scripts are called elsewhere now: the failpoints would never be met")


if __name__ == "__main__":
    main()
