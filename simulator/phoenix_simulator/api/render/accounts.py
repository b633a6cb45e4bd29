"""Balances, positions and settings of an account."""

from collections.abc import Iterable
from typing import Final

from phoenix_simulator.api.render.numbers import plain, plain_e8
from phoenix_simulator.exchange import adl
from phoenix_simulator.exchange.accounts import Account, Holding, Income
from phoenix_simulator.exchange.listing import Listing
from phoenix_simulator.exchange.margin import (
    AssetMargin,
    PositionRisk,
    asset_margin,
    in_asset_e8,
    joint_margin,
    liquidation_price_e8,
    max_withdraw_e8,
    position_risk,
)
from phoenix_simulator.exchange.orders import PositionSide, Side
from phoenix_simulator.exchange.prices import Prices
from phoenix_simulator.exchange.symbols import E8, SymbolSpec, format_e8

Json = dict[str, object]

_TOTALS_ASSET: Final = "USDT"
"""In single-asset mode the venue's totals cover USDT alone; in multi-assets mode all, in US dollars."""


class AccountView:
    """One account at present marks. `listings` are all symbols, in listing order; `everybody` stands with it in the
    deleveraging queue.
    """

    def __init__(
        self, account: Account, listings: Iterable[Listing], everybody: Iterable[Account], prices: Prices
    ) -> None:
        self._account = account
        self._everybody = everybody
        self._listings = list(listings)
        self._prices = prices
        self._joint = joint_margin(account, prices) if account.multi_assets else None
        self._assets = sorted({listing.spec.margin_asset for listing in self._listings} | account.wallets_e8.keys())

    # ---- balances -----------------------------------------------------------------------------------------------

    def balances(self, alias: str) -> list[Json]:
        return [self._balance(alias, self._margin(asset)) for asset in self._assets]

    def _balance(self, alias: str, margin: AssetMargin) -> Json:
        return {
            "accountAlias": alias,
            "asset": margin.asset,
            "balance": format_e8(margin.wallet_e8),
            "crossWalletBalance": format_e8(margin.cross_wallet_e8),
            "crossUnPnl": format_e8(margin.cross_unrealised_e8),
            "availableBalance": format_e8(self._available_e8(margin)),
            "maxWithdrawAmount": format_e8(max_withdraw_e8(self._account, margin.asset, self._prices)),
            "marginAvailable": self._may_back(margin.asset),
            "updateTime": self._account.updated_ms.get(margin.asset, 0),
        }

    # ---- the account --------------------------------------------------------------------------------------------

    def account_v3(self) -> Json:
        """Only positions that are open or have orders."""
        held = [self._position_v3(holding, side) for holding, side in self._busy()]
        return {
            **self._totals(),
            "assets": [self._asset(self._margin(asset)) for asset in self._assets],
            "positions": held,
        }

    def account_v2(self) -> Json:
        """Every symbol, and the account's configuration."""
        assets = [
            {**self._asset(self._margin(asset)), "marginAvailable": self._may_back(asset)} for asset in self._assets
        ]
        positions = [
            self._position_v2(holding, side)
            for holding in (self._holding(listing.spec) for listing in self._listings)
            for side in holding.sides
        ]
        return {**self.config(), **self._totals(), "assets": assets, "positions": positions}

    def config(self) -> Json:
        account = self._account
        return {
            "feeTier": 0,
            "feeBurn": account.fee_burn,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": True,
            "dualSidePosition": account.hedge_mode,
            "updateTime": 0,
            "multiAssetsMargin": account.multi_assets,
            "tradeGroupId": account.trade_group_id,
        }

    def _totals(self) -> Json:
        margin = self._joint or self._margin(_TOTALS_ASSET)
        return {
            "totalInitialMargin": format_e8(margin.initial_margin_e8),
            "totalMaintMargin": format_e8(margin.maintenance_e8),
            "totalWalletBalance": format_e8(margin.wallet_e8),
            "totalUnrealizedProfit": format_e8(margin.unrealised_e8),
            "totalMarginBalance": format_e8(margin.margin_balance_e8),
            "totalPositionInitialMargin": format_e8(margin.position_margin_e8),
            "totalOpenOrderInitialMargin": format_e8(margin.order_margin_e8),
            "totalCrossWalletBalance": format_e8(margin.cross_wallet_e8),
            "totalCrossUnPnl": format_e8(margin.cross_unrealised_e8),
            "availableBalance": format_e8(margin.available_e8),
            "maxWithdrawAmount": format_e8(margin.max_withdraw_e8),
        }

    def _asset(self, margin: AssetMargin) -> Json:
        return {
            "asset": margin.asset,
            "walletBalance": format_e8(margin.wallet_e8),
            "unrealizedProfit": format_e8(margin.unrealised_e8),
            "marginBalance": format_e8(margin.margin_balance_e8),
            "maintMargin": format_e8(margin.maintenance_e8),
            "initialMargin": format_e8(margin.initial_margin_e8),
            "positionInitialMargin": format_e8(margin.position_margin_e8),
            "openOrderInitialMargin": format_e8(margin.order_margin_e8),
            "crossWalletBalance": format_e8(margin.cross_wallet_e8),
            "crossUnPnl": format_e8(margin.cross_unrealised_e8),
            "availableBalance": format_e8(self._available_e8(margin)),
            "maxWithdrawAmount": format_e8(max_withdraw_e8(self._account, margin.asset, self._prices)),
            "updateTime": self._account.updated_ms.get(margin.asset, 0),
        }

    def _position_v3(self, holding: Holding, side: PositionSide) -> Json:
        risk = self._risk(holding, side)
        return {
            "symbol": holding.spec.symbol,
            "positionSide": side.value,
            "positionAmt": amount(holding, side),
            "unrealizedProfit": format_e8(risk.unrealised_e8),
            "isolatedMargin": isolated_margin(holding, side, risk),
            "notional": format_e8(risk.notional_e8),
            "isolatedWallet": plain_e8(holding.position_of(side).margin_e8),
            "initialMargin": format_e8(risk.initial_margin_e8),
            "maintMargin": format_e8(risk.maintenance_e8),
            "updateTime": holding.position_of(side).updated_ms,
        }

    def _position_v2(self, holding: Holding, side: PositionSide) -> Json:
        risk, position = self._risk(holding, side), holding.position_of(side)
        bid_e8, ask_e8 = order_notionals_e8(holding, side)
        return {
            "symbol": holding.spec.symbol,
            "initialMargin": format_e8(risk.initial_margin_e8),
            "maintMargin": format_e8(risk.maintenance_e8),
            "unrealizedProfit": format_e8(risk.unrealised_e8),
            "positionInitialMargin": format_e8(risk.position_margin_e8),
            "openOrderInitialMargin": format_e8(risk.order_margin_e8),
            "leverage": str(holding.leverage),
            "isolated": holding.isolated,
            "entryPrice": plain(position.entry_price),
            "breakEvenPrice": plain(position.break_even_price),
            "maxNotional": max_notional(holding),
            "bidNotional": format_e8(bid_e8),
            "askNotional": format_e8(ask_e8),
            "positionSide": side.value,
            "positionAmt": amount(holding, side),
            "updateTime": position.updated_ms,
        }

    # ---- position risk ------------------------------------------------------------------------------------------

    def position_risk_v3(self, symbol: str | None) -> list[Json]:
        """Only what is open or has orders. Neither leverage nor margin type: the venue tells them elsewhere."""
        rows: list[Json] = []
        for holding, side in self._busy():
            spec = holding.spec
            if symbol not in {None, spec.symbol}:
                continue
            risk = self._risk(holding, side)
            bid_e8, ask_e8 = order_notionals_e8(holding, side)
            rows.append(
                {
                    **self._risk_common(holding, side, risk),
                    "marginAsset": spec.margin_asset,
                    "initialMargin": format_e8(risk.initial_margin_e8),
                    "maintMargin": format_e8(risk.maintenance_e8),
                    "positionInitialMargin": format_e8(risk.position_margin_e8),
                    "openOrderInitialMargin": format_e8(risk.order_margin_e8),
                    "adl": self._quantile(holding, side),
                    "bidNotional": format_e8(bid_e8),
                    "askNotional": format_e8(ask_e8),
                }
            )
        return rows

    def position_risk_v2(self, symbol: str | None) -> list[Json]:
        return [
            {
                **self._risk_common(holding, side, self._risk(holding, side)),
                "leverage": str(holding.leverage),
                "maxNotionalValue": max_notional(holding),
                "marginType": "isolated" if holding.isolated else "cross",
                "isAutoAddMargin": "false",
                "isolated": holding.isolated,
                "adlQuantile": self._quantile(holding, side),
            }
            for holding in (self._holding(listing.spec) for listing in self._listings)
            if symbol in {None, holding.spec.symbol}
            for side in holding.sides
        ]

    def _risk_common(self, holding: Holding, side: PositionSide, risk: PositionRisk) -> Json:
        symbol, position = holding.spec.symbol, holding.position_of(side)
        flat = not position.steps
        liquidation_e8 = 0 if flat else liquidation_price_e8(self._account, holding, self._prices, side)
        return {
            "symbol": symbol,
            "positionSide": side.value,
            "positionAmt": amount(holding, side),
            "entryPrice": "0.0" if flat else plain(position.entry_price),
            "breakEvenPrice": "0.0" if flat else plain(position.break_even_price),
            "markPrice": format_e8(self._prices.mark_e8(symbol)),
            "unRealizedProfit": format_e8(risk.unrealised_e8),
            "liquidationPrice": format_e8(liquidation_e8) if liquidation_e8 else "0",
            "isolatedMargin": isolated_margin(holding, side, risk),
            "notional": format_e8(risk.notional_e8),
            "isolatedWallet": plain_e8(holding.position_of(side).margin_e8),
            "updateTime": position.updated_ms,
        }

    def adl_quantiles(self, symbol: str | None) -> list[Json]:
        rows: list[Json] = []
        for holding in self._account.holdings.values():
            if not holding.has_position or symbol not in {None, holding.spec.symbol}:
                continue
            quantiles = {side.value: self._quantile(holding, side) for side in holding.sides}
            if holding.hedged:
                # A sign that the account is hedged in the symbol; the number means nothing.
                quantiles["HEDGE"] = 0
            rows.append({"symbol": holding.spec.symbol, "adlQuantile": quantiles})
        return rows

    # ---- settings -----------------------------------------------------------------------------------------------

    def symbol_config(self, symbol: str | None) -> list[Json]:
        rows: list[Json] = []
        for listing in self._listings:
            if symbol not in {None, listing.spec.symbol}:
                continue
            holding = self._holding(listing.spec)
            rows.append(
                {
                    "symbol": listing.spec.symbol,
                    "marginType": "ISOLATED" if holding.isolated else "CROSSED",
                    "isAutoAddMargin": False,
                    "leverage": holding.leverage,
                    "maxNotionalValue": max_notional(holding),
                }
            )
        return rows

    # ---- helpers ------------------------------------------------------------------------------------------------

    def _busy(self) -> list[tuple[Holding, PositionSide]]:
        """Positions that are open or have orders."""
        return [
            (holding, side)
            for holding in self._account.holdings.values()
            for side in holding.sides
            if holding.position_of(side).steps or any(order.position_side is side for order in holding.open.values())
        ]

    def _holding(self, spec: SymbolSpec) -> Holding:
        # A question must not change the books: an untouched symbol reads as an empty holding of its own.
        return self._account.holdings.get(spec.symbol) or Holding(spec, hedged=self._account.hedge_mode)

    def _quantile(self, holding: Holding, side: PositionSide) -> int:
        return adl.quantile(self._everybody, holding, side, self._prices.mark_e8(holding.spec.symbol))

    def _may_back(self, asset: str) -> bool:
        """Whether the asset is collateral in multi-assets mode."""
        return self._prices.index(asset) is not None

    def _available_e8(self, margin: AssetMargin) -> int:
        """For new positions in the asset; of the joint margin where that stands behind them."""
        if self._joint is None:
            return margin.available_e8
        return in_asset_e8(self._joint, margin.asset, self._joint.available_e8, self._prices)

    def _margin(self, asset: str) -> AssetMargin:
        return asset_margin(self._account, asset, self._prices)

    def _risk(self, holding: Holding, side: PositionSide) -> PositionRisk:
        return position_risk(holding, self._prices.mark_e8(holding.spec.symbol), side)


def amount(holding: Holding, side: PositionSide) -> str:
    """Signed position, padded."""
    return holding.spec.format_quantity(holding.position_of(side).steps)


def isolated_margin(holding: Holding, side: PositionSide, risk: PositionRisk) -> str:
    """What was set aside for the position, with its profit; 0 where it is cross-margined."""
    return format_e8(holding.position_of(side).margin_e8 + risk.unrealised_e8 if holding.isolated else 0)


def order_notionals_e8(holding: Holding, side: PositionSide) -> tuple[int, int]:
    """Open buy and sell orders for a position: Σ leaves × price."""
    if side is PositionSide.BOTH:
        return holding.bid_notional_e8, holding.ask_notional_e8
    totals = {Side.BUY: 0, Side.SELL: 0}
    for order in holding.open.values():
        if order.position_side is side:
            totals[order.side] += holding.spec.notional_e8(order.price_ticks, order.leaves_steps)
    return totals[Side.BUY], totals[Side.SELL]


def max_notional(holding: Holding) -> str:
    return str(holding.spec.max_notional_e8(holding.leverage) // E8)


def leverage_brackets(spec: SymbolSpec) -> Json:
    """The one place where the venue sends plain numbers."""
    return {
        "symbol": spec.symbol,
        "notionalCoef": 1.0,
        "brackets": [
            {
                "bracket": row.bracket,
                "initialLeverage": row.initial_leverage,
                "notionalCap": row.notional_cap_e8 // E8,
                "notionalFloor": row.notional_floor_e8 // E8,
                "maintMarginRatio": float(row.maintenance_ratio),
                "cum": row.cumulative_e8 / E8,
            }
            for row in spec.brackets
        ],
    }


def commission_rate(spec: SymbolSpec) -> Json:
    return {
        "symbol": spec.symbol,
        "makerCommissionRate": format_e8(spec.maker_rate_e8, 6),
        "takerCommissionRate": format_e8(spec.taker_rate_e8, 6),
        "rpiCommissionRate": format_e8(spec.maker_rate_e8, 6),
    }


def income(row: Income) -> Json:
    return {
        "symbol": row.symbol,
        "incomeType": row.kind.value,
        "income": format_e8(row.amount_e8),
        "asset": row.asset,
        "info": row.info,
        "time": row.time_ms,
        "tranId": row.transaction_id,
        "tradeId": str(row.trade_id) if row.trade_id else "",
    }
