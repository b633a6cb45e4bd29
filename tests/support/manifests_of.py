"""Small valid manifests of a maker and its account, as somebody applies them in a cluster."""


def maker_manifest(name: str = "btcusdt", symbol: str = "BTCUSDT", **spec: object) -> dict:
    return {
        "apiVersion": "phoenix.trading/v1alpha1",
        "kind": "MarketMaker",
        "metadata": {"name": name, "namespace": "trading"},
        "spec": {
            "symbol": symbol,
            "accountRef": "default",
            "mode": "Live",
            "netMax": "0.10",
            "baseSize": "0.004",
            "risk": {"capital": "2000"},
            **spec,
        },
    }


def account_manifest(name: str = "default", **spec: object) -> dict:
    return {
        "apiVersion": "phoenix.trading/v1alpha1",
        "kind": "TradingAccount",
        "metadata": {"name": name, "namespace": "trading"},
        "spec": {
            "environment": "Simulator",
            "endpoints": {"baseUrl": "http://exchange:9000"},
            "credentialsSecretRef": {"name": "simulator-key"},
            "limits": {
                "netNotional": "25000",
                "grossNotional": "50000",
                "dailyLoss": "500",
                "makerNetMax": {"BTCUSDT": "0.20", "ETHUSDT": "2", "SOLUSDT": "40"},
            },
            **spec,
        },
    }
