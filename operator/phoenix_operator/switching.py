"""An account's switch in Redis: as a plan has it, and changed as plans ask."""

from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.redis.account import AccountError, AccountTools, SwitchState
from phoenix_crds import Action, Emergency, SwitchRequest

from phoenix_operator.plan.facts import Switch
from phoenix_operator.plan.outcome import Declare, Seed

_LEVELS = {
    Emergency.NONE: EmergencyLevel.NONE,
    Emergency.HALT: EmergencyLevel.HALT,
    Emergency.FLATTEN: EmergencyLevel.FLATTEN,
}
_EMERGENCIES = {level: emergency for emergency, level in _LEVELS.items()}


def switch_of(switch: SwitchState) -> Switch:
    """As a plan has it."""
    level = _EMERGENCIES[switch.level]
    return Switch(
        level, switch.epoch, switch.reason, switch.source, switch.at_ms, switch.seeded, _EMERGENCIES[switch.declared]
    )


async def declare(tools: AccountTools, wish: Declare) -> SwitchState:
    """Raises `AccountError`."""
    return await tools.account(wish.identity).declare(_LEVELS[wish.level])


async def seed(tools: AccountTools, wish: Seed) -> SwitchState:
    """Raises `AccountError`."""
    return await tools.account(wish.identity).seed(_LEVELS[wish.level], wish.epoch, wish.reason, wish.source)


async def carry_out(tools: AccountTools, identity: str, request: SwitchRequest) -> tuple[str, SwitchState | None]:
    """What is so now, and the account's switch where that was meant; `AccountError` says why not."""
    account = tools.account(identity)
    source = request.source or "somebody"
    match request.action:
        case Action.STOP:
            if request.level is None:
                raise AccountError("a Stop needs level Halt or Flatten")
            switch = await account.stop(_LEVELS[request.level], request.reason, source)
            return f"stopped under epoch {switch.epoch}", switch
        case Action.RESUME:
            if request.epoch is None:
                raise AccountError("a Resume needs the epoch that `phoenix status` shows")
            if request.symbol is None:
                return "resumed", await account.resume(request.epoch, source)
            await account.resume_symbol(request.symbol, request.epoch, source, dry_run=request.dry_run)
            return f"{request.symbol} resumed", None
