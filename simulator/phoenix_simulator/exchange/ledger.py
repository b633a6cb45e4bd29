"""Every movement of money, and the only code that moves any.

A wallet is its deposits + realised profit − commission + funding ± insurance, to the last 1e-8; each movement is an
income row of the account and the opposite entry in the treasury or the background, so that all books sum to zero.
"""

from collections import defaultdict

from phoenix_simulator.exchange.accounts import Account, Income, IncomeType
from phoenix_simulator.exchange.events import Fill
from phoenix_simulator.exchange.listing import Listing
from phoenix_simulator.exchange.orders import Order
from phoenix_simulator.exchange.prices import Prices
from phoenix_simulator.exchange.symbols import E8, divide_towards_zero

FEE_ASSET = "BNB"
_DISCOUNT_NUMERATOR, _DISCOUNT_DENOMINATOR = 9, 10
"""Fees that are paid in BNB are 10 % lower."""


class Treasury:
    """The venue's own money, by asset, 1e-8."""

    def __init__(self) -> None:
        self.deposits_e8: defaultdict[str, int] = defaultdict(int)
        """Brought in by accounts, net of withdrawals."""
        self.fees_e8: defaultdict[str, int] = defaultdict(int)
        self.insurance_e8: defaultdict[str, int] = defaultdict(int)
        """Liquidation fees, less what bankrupt accounts were short of; may be negative."""
        self.exchanged_e8: defaultdict[str, int] = defaultdict(int)
        """Bought from accounts that were short of another asset, less what was sold to them."""


class Ledger:
    def __init__(self, prices: Prices) -> None:
        self.treasury = Treasury()
        self._prices = prices
        self._transaction_id = 0

    def fill(
        self,
        listing: Listing,
        account: Account,
        order: Order,
        *,
        trade_id: int,
        price_ticks: int,
        steps: int,
        is_maker: bool,
        now_ms: int,
    ) -> Fill:
        """Book one account's side of a trade: position, realised profit, commission."""
        spec = listing.spec
        holding = account.holding(spec)
        rate_e8 = spec.maker_rate_e8 if is_maker else spec.taker_rate_e8
        quote_e8 = spec.notional_e8(price_ticks, steps)
        # Cut to 8 decimals, costs and rebates alike. The venue cuts a binary float (0.00115829 was seen for exactly
        # 0.0011583): a client that recomputes fees to the last digit is wrong there as well as here.
        commission_e8 = divide_towards_zero(quote_e8 * rate_e8, E8)
        position = holding.position_of(order.position_side)
        signed_steps = order.side.sign * steps
        if holding.isolated:
            realised_e8 = position.trade_isolated(signed_steps, price_ticks, rate_e8, holding.leverage)
        else:
            realised_e8 = position.trade(signed_steps, price_ticks, rate_e8)
        position.updated_ms = now_ms
        asset = fee_asset = spec.margin_asset
        if account.fee_burn and commission_e8 > 0:
            fee_asset, commission_e8 = self._discounted(account, asset, commission_e8)
        account.credit(asset, realised_e8, now_ms)
        account.credit(fee_asset, -commission_e8, now_ms)
        self.treasury.fees_e8[fee_asset] += commission_e8
        if realised_e8:
            self._row(
                account,
                IncomeType.REALIZED_PNL,
                symbol=spec.symbol,
                asset=asset,
                amount_e8=realised_e8,
                now_ms=now_ms,
                trade_id=trade_id,
            )
        if commission_e8:
            self._row(
                account,
                IncomeType.COMMISSION,
                symbol=spec.symbol,
                asset=fee_asset,
                amount_e8=-commission_e8,
                now_ms=now_ms,
                trade_id=trade_id,
            )
        fill = Fill(
            trade_id=trade_id,
            order_id=order.order_id,
            symbol=spec.symbol,
            time_ms=now_ms,
            side=order.side,
            price_ticks=price_ticks,
            qty_steps=steps,
            quote_e8=quote_e8,
            commission_e8=commission_e8,
            commission_asset=fee_asset,
            realised_e8=realised_e8,
            is_maker=is_maker,
            position_side=order.position_side,
        )
        holding.record(fill)
        return fill

    def _discounted(self, account: Account, asset: str, commission_e8: int) -> tuple[str, int]:
        """Asset and amount of a fee that is to be paid in BNB; as it was where the wallet holds too little of it."""
        reduced_e8 = commission_e8 * _DISCOUNT_NUMERATOR // _DISCOUNT_DENOMINATOR
        fee_e8 = self._prices.convert_e8(asset, reduced_e8, FEE_ASSET)
        if fee_e8 is None or fee_e8 > account.wallet_e8(FEE_ASSET):
            return asset, commission_e8
        return FEE_ASSET, fee_e8

    def against_background(self, listing: Listing, order: Order, price_ticks: int, steps: int) -> None:
        """The other side of a fill that had no account on it."""
        signed_steps = order.side.sign * steps
        listing.background.steps -= signed_steps
        listing.background.cash_e8 += listing.spec.notional_e8(price_ticks, signed_steps)

    def transfer(self, account: Account, asset: str, amount_e8: int, now_ms: int) -> None:
        account.credit(asset, amount_e8, now_ms)
        account.transferred_e8[asset] = account.transferred_e8.get(asset, 0) + amount_e8
        self.treasury.deposits_e8[asset] += amount_e8
        self._row(account, IncomeType.TRANSFER, symbol="", asset=asset, amount_e8=amount_e8, now_ms=now_ms)

    def funding(self, listing: Listing, account: Account, amount_e8: int, now_ms: int) -> None:
        """`amount_e8` is what the account receives (negative: pays); the rest of the market is the other side."""
        asset = listing.spec.margin_asset
        account.credit(asset, amount_e8, now_ms)
        listing.background.funding_e8 -= amount_e8
        self._row(
            account, IncomeType.FUNDING_FEE, symbol=listing.spec.symbol, asset=asset, amount_e8=amount_e8, now_ms=now_ms
        )

    def insurance(self, account: Account, symbol: str, asset: str, amount_e8: int, now_ms: int) -> None:
        """Between account and insurance fund: a liquidation fee (negative) or the cover of a bankruptcy (positive)."""
        account.credit(asset, amount_e8, now_ms)
        self.treasury.insurance_e8[asset] -= amount_e8
        self._row(account, IncomeType.INSURANCE_CLEAR, symbol=symbol, asset=asset, amount_e8=amount_e8, now_ms=now_ms)

    def exchange(self, account: Account, sold: tuple[str, int], bought: tuple[str, int], now_ms: int) -> None:
        """The venue takes one asset of a wallet for another: (asset, 1e-8) each, positive."""
        for (asset, amount_e8), sign in ((sold, -1), (bought, 1)):
            account.credit(asset, sign * amount_e8, now_ms)
            self.treasury.exchanged_e8[asset] -= sign * amount_e8
            kind = IncomeType.AUTO_EXCHANGE
            self._row(account, kind, symbol="", asset=asset, amount_e8=sign * amount_e8, now_ms=now_ms)

    def _row(
        self,
        account: Account,
        kind: IncomeType,
        *,
        symbol: str,
        asset: str,
        amount_e8: int,
        now_ms: int,
        trade_id: int = 0,
    ) -> None:
        self._transaction_id += 1
        info = str(trade_id or kind.value)
        if kind is IncomeType.FUNDING_FEE:
            account.holdings[symbol].totals.funding_e8 += amount_e8
        account.income.append(Income(kind, symbol, asset, amount_e8, now_ms, self._transaction_id, trade_id, info))
