"""A forecast for people: a table of makers an account, what they come to together, and what does not fit."""

from collections.abc import Iterator

from phoenix_cli.forecast.fleet import AccountForecast, EgressForecast, Forecast, money
from phoenix_cli.printing import aligned

_HEADER = ("maker", "symbol", "price", "worst case", "a jump of", "loses", "margin", "needs", "capital", "orders/min")


def text_of(forecast: Forecast) -> str:
    """Ends with a newline."""
    blocks = [_account(account) for account in forecast.accounts]
    blocks.append("\n".join(_egress(egress) for egress in forecast.egresses))
    blocks.append("\n".join(["assumed:", *(f"  {line}" for line in forecast.assumed)]))
    if forecast.findings:
        found = (f"  {each.severity}: {each.what}: {each.message} ({each.hint})" for each in forecast.findings)
        blocks.append("\n".join(["what does not fit:", *found]))
    else:
        blocks.append("everything fits")
    return "\n\n".join(blocks) + "\n"


def _account(account: AccountForecast) -> str:
    rows = [
        (
            maker.maker,
            maker.symbol,
            f"{maker.price:g}",
            money(maker.worst_case),
            f"{maker.move:.0%}",
            money(maker.stressed_loss),
            money(maker.initial_margin),
            money(maker.needs),
            "–" if maker.capital is None else money(maker.capital),
            f"{maker.orders_per_minute:.0f}",
        )
        for maker in account.makers
    ]
    title = f"account {account.account} ({account.environment}, leverage {account.leverage}, egress {account.egress})"
    return "\n".join([title, aligned(_HEADER, rows).rstrip("\n"), *(f"  {line}" for line in _together(account))])


def _together(account: AccountForecast) -> Iterator[str]:
    capital = "not set by all" if account.capital is None else money(account.capital)
    yield (
        f"balance: {money(account.needs)} carries it, {money(account.initial_margin)} of margin and"
        f" {money(account.stressed_loss)} lost if every symbol jumps against its position;"
        f" the makers' capital is {capital}"
    )
    if len(account.needs_by_asset) > 1:
        parts = ", ".join(f"{money(amount)} {asset}" for asset, amount in account.needs_by_asset.items())
        yield f"by margin asset: {parts}, each for itself unless the account is in multi-assets mode"
    yield (
        f"exposure: at most {money(account.worst_case)}, of grossNotional {money(account.gross_limit)} and, all on one"
        f" side, of netNotional {money(account.net_limit)}"
    )
    own = "not all known" if account.makers_daily_loss is None else money(account.makers_daily_loss)
    yield f"a day's loss: {own} by the makers' own limits, {money(account.daily_loss)} halts the account"
    yield f"orders: about {account.orders_per_minute:.0f} a minute of {account.orders_limit}"


def _egress(egress: EgressForecast) -> str:
    rounds = -(-egress.makers // egress.starts_per_minute) if egress.starts_per_minute else 0
    begin = f"all {egress.makers} begin within {rounds} min" if rounds else "none can begin"
    starts, reconnects = egress.left // egress.start_weight, egress.left // egress.reconnect_weight
    return (
        f"egress {egress.egress}: request weight {egress.weight_per_minute} a minute of {egress.weight_limit},"
        f" quoting or not; a start reads {egress.start_weight}: {begin}\n"
        f"  beside quotes in such a market {egress.left} are left of the {egress.quoting_limit} a minute after which"
        f" quotes wait (RateLimited): {starts} starts, or {reconnects} reconnects ({egress.reconnect_weight} each),"
        " in one minute"
    )
