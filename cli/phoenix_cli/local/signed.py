"""What the exchange itself says of a run's accounts: signed reads, with the key that the run's workers have."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from phoenix_worker.runtime.clock import Clock, ClockError
from phoenix_worker.runtime.credentials import CredentialsError, read_key
from phoenix_worker.runtime.exchange import ForbiddenError, credentials_of, endpoints_of
from phoenix_worker.runtime.resolve import resolve
from phoenix_worker.runtime.resolved import InvalidConfigurationError
from phoenix_worker.venue.binance.account import AccountReader, AccountUnreadableError, open_account

from phoenix_cli.local.runfile import AccountFiles, RunFile
from phoenix_cli.refusal import Refused

USER_AGENT = "phoenix/cli"


@asynccontextmanager
async def reader_of(run: RunFile, files: AccountFiles) -> AsyncIterator[AccountReader]:
    """A reader of the account, which can change nothing; raises `Refused` with why it cannot be asked."""
    parameters = Path(files.parameters)
    try:
        clock = Clock.from_env(run.env)
        resolved = resolve(parameters / "maker.yaml", parameters / "account.yaml")
        endpoints = endpoints_of(resolved, clock)
        credentials = credentials_of(read_key(Path(files.credentials)))
        async with open_account(endpoints, credentials, clock, USER_AGENT) as reader:
            yield reader
    except (
        AccountUnreadableError,
        ClockError,
        CredentialsError,
        ForbiddenError,
        InvalidConfigurationError,
    ) as error:
        raise Refused(f"account {files.account}: {error}") from None
