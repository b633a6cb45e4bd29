"""Balances, positions and settings of an account."""

from collections.abc import Iterable
from typing import Final

from phoenix_simulator.api.render.numbers import plain
from phoenix_simulator.exchange.accounts import Account, Holding, Income
from phoenix_simulator.exchange.listing import Listing
from phoenix_simulator.exchange.margin import (
    AssetMargin,
    MarkOf,
    PositionRisk,
    asset_margin,
    liquidation_price_e8,
    position_risk,
)
from phoenix_simulator.exchange.symbols import E8, SymbolSpec, format_e8

Json = dict[str, object]

_TOTALS_ASSET: Final = "USDT"
"""In single-asset mode the venue's totals cover USDT alone."""
_NOTHING: Final = "0.00000000"


class AccountView:
    """One account at present marks. `listings` are all symbols, in listing order."""

    def __init__(self, account: Account, listings: Iterable[Listing], mark_of: MarkOf) -> None:
        self._account = account
        self._listings = list(listings)
        self._mark_of = mark_of
        self._assets = sorted({listing.spec.margin_asset for listing in self._listings} | account.wallets_e8.keys())

    # ---- balances -----------------------------------------------------------------------------------------------

    def balances(self, alias: str) -> list[Json]:
        return [self._balance(alias, self._margin(asset)) for asset in self._assets]

    def _balance(self, alias: str, margin: AssetMargin) -> Json:
        return {
            "accountAlias": alias,
            "asset": margin.asset,
            "balance": format_e8(margin.wallet_e8),
            "crossWalletBalance": format_e8(margin.wallet_e8),
            "crossUnPnl": format_e8(margin.unrealised_e8),
            "availableBalance": format_e8(margin.available_e8),
            "maxWithdrawAmount": format_e8(margin.max_withdraw_e8),
            "marginAvailable": True,
            "updateTime": self._account.updated_ms.get(margin.asset, 0),
        }

    # ---- the account --------------------------------------------------------------------------------------------

    def account_v3(self) -> Json:
        """Only positions that are open or have orders."""
        held = [self._position_v3(holding) for holding in self._busy()]
        return {
            **self._totals(),
            "assets": [self._asset(self._margin(asset)) for asset in self._assets],
            "positions": held,
        }

    def account_v2(self) -> Json:
        """Every symbol, and the account's configuration."""
        assets = [{**self._asset(self._margin(asset)), "marginAvailable": True} for asset in self._assets]
        positions = [self._position_v2(listing) for listing in self._listings]
        return {**self.config(), **self._totals(), "assets": assets, "positions": positions}

    def config(self) -> Json:
        account = self._account
        return {
            "feeTier": 0,
            "feeBurn": False,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": True,
            "dualSidePosition": account.hedge_mode,
            "updateTime": 0,
            "multiAssetsMargin": account.multi_assets,
            "tradeGroupId": account.trade_group_id,
        }

    def _totals(self) -> Json:
        margin = self._margin(_TOTALS_ASSET)
        return {
            "totalInitialMargin": format_e8(margin.initial_margin_e8),
            "totalMaintMargin": format_e8(margin.maintenance_e8),
            "totalWalletBalance": format_e8(margin.wallet_e8),
            "totalUnrealizedProfit": format_e8(margin.unrealised_e8),
            "totalMarginBalance": format_e8(margin.margin_balance_e8),
            "totalPositionInitialMargin": format_e8(margin.position_margin_e8),
            "totalOpenOrderInitialMargin": format_e8(margin.order_margin_e8),
            "totalCrossWalletBalance": format_e8(margin.wallet_e8),
            "totalCrossUnPnl": format_e8(margin.unrealised_e8),
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
            "crossWalletBalance": format_e8(margin.wallet_e8),
            "crossUnPnl": format_e8(margin.unrealised_e8),
            "availableBalance": format_e8(margin.available_e8),
            "maxWithdrawAmount": format_e8(margin.max_withdraw_e8),
            "updateTime": self._account.updated_ms.get(margin.asset, 0),
        }

    def _position_v3(self, holding: Holding) -> Json:
        risk = self._risk(holding)
        return {
            "symbol": holding.spec.symbol,
            "positionSide": "BOTH",
            "positionAmt": amount(holding),
            "unrealizedProfit": format_e8(risk.unrealised_e8),
            "isolatedMargin": _NOTHING,
            "notional": format_e8(risk.notional_e8),
            "isolatedWallet": "0",
            "initialMargin": format_e8(risk.initial_margin_e8),
            "maintMargin": format_e8(risk.maintenance_e8),
            "updateTime": holding.position.updated_ms,
        }

    def _position_v2(self, listing: Listing) -> Json:
        holding = self._holding(listing.spec)
        risk = self._risk(holding)
        return {
            "symbol": listing.spec.symbol,
            "initialMargin": format_e8(risk.initial_margin_e8),
            "maintMargin": format_e8(risk.maintenance_e8),
            "unrealizedProfit": format_e8(risk.unrealised_e8),
            "positionInitialMargin": format_e8(risk.position_margin_e8),
            "openOrderInitialMargin": format_e8(risk.order_margin_e8),
            "leverage": str(holding.leverage),
            "isolated": holding.isolated,
            "entryPrice": plain(holding.position.entry_price),
            "breakEvenPrice": plain(holding.position.break_even_price),
            "maxNotional": max_notional(holding),
            "bidNotional": format_e8(holding.bid_notional_e8),
            "askNotional": format_e8(holding.ask_notional_e8),
            "positionSide": "BOTH",
            "positionAmt": amount(holding),
            "updateTime": holding.position.updated_ms,
        }

    # ---- position risk ------------------------------------------------------------------------------------------

    def position_risk_v3(self, symbol: str | None) -> list[Json]:
        """Only what is open or has orders. Neither leverage nor margin type: the venue tells them elsewhere."""
        rows: list[Json] = []
        for holding in self._busy():
            spec = holding.spec
            if symbol not in {None, spec.symbol}:
                continue
            risk = self._risk(holding)
            rows.append(
                {
                    **self._risk_common(holding, risk),
                    "marginAsset": spec.margin_asset,
                    "initialMargin": format_e8(risk.initial_margin_e8),
                    "maintMargin": format_e8(risk.maintenance_e8),
                    "positionInitialMargin": format_e8(risk.position_margin_e8),
                    "openOrderInitialMargin": format_e8(risk.order_margin_e8),
                    "adl": 1 if holding.position.steps else 0,
                    "bidNotional": format_e8(holding.bid_notional_e8),
                    "askNotional": format_e8(holding.ask_notional_e8),
                }
            )
        return rows

    def position_risk_v2(self, symbol: str | None) -> list[Json]:
        rows: list[Json] = []
        for listing in self._listings:
            if symbol not in {None, listing.spec.symbol}:
                continue
            holding = self._holding(listing.spec)
            rows.append(
                {
                    **self._risk_common(holding, self._risk(holding)),
                    "leverage": str(holding.leverage),
                    "maxNotionalValue": max_notional(holding),
                    "marginType": "isolated" if holding.isolated else "cross",
                    "isAutoAddMargin": "false",
                    "isolated": holding.isolated,
                    "adlQuantile": 1 if holding.position.steps else 0,
                }
            )
        return rows

    def _risk_common(self, holding: Holding, risk: PositionRisk) -> Json:
        symbol = holding.spec.symbol
        flat = not holding.position.steps
        liquidation_e8 = 0 if flat else liquidation_price_e8(self._account, holding, self._mark_of)
        return {
            "symbol": symbol,
            "positionSide": "BOTH",
            "positionAmt": amount(holding),
            "entryPrice": "0.0" if flat else plain(holding.position.entry_price),
            "breakEvenPrice": "0.0" if flat else plain(holding.position.break_even_price),
            "markPrice": format_e8(self._mark_of(symbol)),
            "unRealizedProfit": format_e8(risk.unrealised_e8),
            "liquidationPrice": format_e8(liquidation_e8) if liquidation_e8 else "0",
            "isolatedMargin": _NOTHING,
            "notional": format_e8(risk.notional_e8),
            "isolatedWallet": "0",
            "updateTime": holding.position.updated_ms,
        }

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

    def _busy(self) -> list[Holding]:
        return [holding for holding in self._account.holdings.values() if not holding.is_idle]

    def _holding(self, spec: SymbolSpec) -> Holding:
        # A question must not change the books: an untouched symbol reads as an empty holding of its own.
        return self._account.holdings.get(spec.symbol) or Holding(spec)

    def _margin(self, asset: str) -> AssetMargin:
        return asset_margin(self._account, asset, self._mark_of)

    def _risk(self, holding: Holding) -> PositionRisk:
        return position_risk(holding, self._mark_of(holding.spec.symbol))


def amount(holding: Holding) -> str:
    """Signed position, padded."""
    return holding.spec.format_quantity(holding.position.steps)


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
