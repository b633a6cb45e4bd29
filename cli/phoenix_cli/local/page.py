"""The page for people of a run on this machine: the operator's, told of the run's makers instead of a cluster's."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
from phoenix_coordination.state import Reason
from phoenix_operator.page.roster import KnownAccount, KnownMaker, Roster
from phoenix_operator.page.server import PageServer
from phoenix_operator.page.watch import Watch

from phoenix_cli.local.fleet import Assignment
from phoenix_cli.local.layout import NAMESPACE
from phoenix_cli.local.maker import Maker
from phoenix_cli.local.runner import RUN, Runner
from phoenix_cli.local.view import Mood
from phoenix_cli.refusal import Refused

HOST = "127.0.0.1"


@asynccontextmanager
async def page_of(runner: Runner, fleet: Sequence[Assignment], port: int) -> AsyncIterator[None]:
    """Serves it meanwhile, at `port` or at a free one where that is 0. Raises `Refused` where it cannot be had."""

    def failed(error: Exception) -> None:
        runner.tell(RUN, f"the page has failed, the run goes on: {type(error).__name__}: {error}", Mood.WARNING)

    server = PageServer(Watch(lambda: roster_of(runner, fleet), lambda: runner.redis_argument, failed))
    try:
        await server.open(HOST, port)
    except OSError as error:
        raise Refused(
            f"--page-port {port}: cannot listen there: {error.strerror}; leave it out for a free one"
        ) from None
    url = f"http://{HOST}:{server.port}"
    runner.blurb = msgspec.structs.replace(runner.blurb, page=url)
    runner.tell(RUN, f"page for a browser at {url}")
    try:
        yield
    finally:
        await server.close()


def roster_of(runner: Runner, fleet: Sequence[Assignment]) -> Roster:
    accounts = {assignment.account.metadata.name: assignment.account.spec for assignment in fleet}
    return Roster(
        ", ".join(filter(None, (runner.blurb.title, runner.blurb.market))),
        tuple(
            KnownAccount(
                name=f"{NAMESPACE}/{name}",
                environment=spec.environment.value,
                declared=spec.emergency.value,
                net_limit=f"{spec.limits.net_notional:f}",
                gross_limit=f"{spec.limits.gross_notional:f}",
            )
            for name, spec in accounts.items()
        ),
        tuple(map(_maker, runner.makers)),
    )


def _maker(maker: Maker) -> KnownMaker:
    spec, said = maker.resource.spec, maker.records
    return KnownMaker(
        namespace=NAMESPACE,
        name=maker.name,
        account=spec.account_ref,
        symbol=maker.symbol,
        mode=spec.mode.value,
        net_max=f"{spec.net_max:f}",
        paused=spec.paused,
        reason=Reason.STARTING.value if maker.worker is not None else "",
        message=maker.last_words,
        restarts=maker.restarts,
        position=said[-1].position.qty if said else None,
    )
