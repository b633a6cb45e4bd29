"""Each way to write a maker or an account wrongly: for the check on this machine, and for the API server."""

import pytest

MAKER = """\
apiVersion: phoenix.trading/v1alpha1
kind: MarketMaker
metadata:
  name: ethusdc
spec:
  symbol: ETHUSDC
  netMax: "0.20"
  baseSize: "0.008"
"""

ACCOUNT = """\
apiVersion: phoenix.trading/v1alpha1
kind: TradingAccount
metadata:
  name: default
spec:
  environment: Testnet
  credentialsSecretRef:
    name: binance
  limits:
    netNotional: 1000
    grossNotional: 2000
    dailyLoss: 50
    makerNetMax:
      ETHUSDC: "0.25"
"""

# What is written below a maker's spec (whose symbol, netMax and baseSize are on lines 6 to 8), the field that is
# blamed, the line, and what must be said.
MAKER_MISTAKES = [
    pytest.param("  minSpreadBps: 0.5", "spec.minSpreadBps", 9, '0.5 is a float.*put it in quotes: "0.5"', id="float"),
    pytest.param("  minSpreadBps: 5e-1", "spec.minSpreadBps", 9, "is a float.*quotes", id="float-with-exponent"),
    pytest.param("  minSpreadBps: .nan", "spec.minSpreadBps", 9, "nan is not a decimal number", id="nan"),
    pytest.param("  minSpreadBps: -.inf", "spec.minSpreadBps", 9, "-inf is not a decimal number", id="infinity"),
    pytest.param("  minSpreadBps: 0.00001", "spec.minSpreadBps", 9, 'in quotes: "0.00001"', id="very-small-float"),
    pytest.param("  minSpreadBps: -1", "spec.minSpreadBps", 9, "must be at least 0", id="below-range"),
    pytest.param('  minSpreadBps: "1e3"', "spec.minSpreadBps", 9, "not a decimal number", id="exponent-in-quotes"),
    pytest.param('  minSpreadBps: "05"', "spec.minSpreadBps", 9, "not a decimal number", id="leading-zero"),
    pytest.param('  minSpreadBps: " 5"', "spec.minSpreadBps", 9, "not a decimal number", id="blank-in-number"),
    pytest.param("  minSpreadBps: 1_000", "spec.minSpreadBps", 9, "not a decimal number", id="underscore-in-number"),
    pytest.param("  minSpreadBps: true", "spec.minSpreadBps", 9, "is a boolean", id="boolean-for-number"),
    pytest.param("  minSpreadBps:", "spec.minSpreadBps", 9, "an empty value is not a decimal", id="nothing-for-number"),
    pytest.param(
        "  minSpreadBps: {a: 1}", "spec.minSpreadBps", 9, "a mapping is not a decimal", id="mapping-for-number"
    ),
    pytest.param(f"  minSpreadBps: {'9' * 60}", "spec.minSpreadBps", 9, "not a decimal|digits", id="endless-number"),
    pytest.param(f"  minSpreadBps: {2**63}", "spec.minSpreadBps", 9, "too many digits.*in quotes", id="beyond-64-bits"),
    pytest.param("  worstCaseMultiplier: 3", "spec.worstCaseMultiplier", 9, "must be at most 2", id="multiplier"),
    pytest.param("  nearLayers: 3.0", "spec.nearLayers", 9, "must be an integer", id="float-for-layers"),
    pytest.param('  nearLayers: "3"', "spec.nearLayers", 9, "must be an integer.*without quotes", id="text-for-layers"),
    pytest.param("  nearLayers: 21", "spec.nearLayers", 9, "must be at most 20", id="too-many-layers"),
    pytest.param(
        "  nearLayers: 0\n  farLayers: 0",
        "spec.nearLayers",
        9,
        r"nearLayers \+ farLayers must be at least 1",
        id="no-layer",
    ),
    pytest.param("  quoteInterval: 500", "spec.quoteInterval", 9, 'no unit.*"500s" or "500ms"', id="duration-no-unit"),
    pytest.param("  quoteInterval: 0.5s", "spec.quoteInterval", 9, "not a duration.*500ms", id="duration-fraction"),
    pytest.param("  quoteInterval: 1m30s", "spec.quoteInterval", 9, "not a duration", id="duration-of-two-units"),
    pytest.param("  quoteInterval: 5 s", "spec.quoteInterval", 9, "not a duration", id="duration-with-blank"),
    pytest.param("  quoteInterval: 99ms", "spec.quoteInterval", 9, "outside 100ms … 1h.*budget", id="quotes-too-often"),
    pytest.param(
        "  minRequoteInterval: 600ms",
        "spec.minRequoteInterval",
        9,
        "must not exceed quoteInterval",
        id="requote-slower",
    ),
    pytest.param("  mode: live", "spec.mode", 9, "must be one of DryRun or Live", id="enum-in-small-letters"),
    pytest.param("  mode: Live", "spec.mode", 9, "Live needs risk.capital.*add", id="live-without-capital"),
    pytest.param('  paused: "true"', "spec.paused", 9, "true or false.*without quotes", id="quoted-boolean"),
    pytest.param("  paused: yes", "spec.paused", 9, "must be true or false", id="yes-is-no-boolean"),
    pytest.param("  paused: 1", "spec.paused", 9, "must be true or false", id="one-is-no-boolean"),
    pytest.param("  minSpread: 4", "spec.minSpread", 9, "unknown field.*did you mean minSpreadBps", id="misspelled"),
    pytest.param("  net_max: 4", "spec.net_max", 9, "unknown field.*did you mean netMax", id="snake-case"),
    pytest.param("  xyzzy: 4", "spec.xyzzy", 9, "unknown field.*known here: .*netMax", id="unheard-of"),
    pytest.param("  guards:\n    pin: '0.7'", "spec.guards.pin", 10, "did you mean pinRatio", id="misspelled-inside"),
    pytest.param("  guards: off", "spec.guards", 9, "must be a mapping", id="text-for-guards"),
    pytest.param("  guards: []", "spec.guards", 9, "must be a mapping", id="list-for-guards"),
    pytest.param(
        '  guards:\n    pinRatio: "0.9"', "spec.guards.pinRatio", 10, "guards must rise: .*order", id="pin-above-grind"
    ),
    pytest.param(
        '  guards:\n    blockRatio: "0.80"', "spec.guards.blockRatio", 10, "guards must rise", id="block-below-grind"
    ),
    pytest.param(
        '  worstCaseMultiplier: "1.1"', "spec.worstCaseMultiplier", 9, "guards must rise", id="multiplier-at-liquidate"
    ),
    pytest.param(
        '  guards:\n    pinRatio: "0.2"\n    hysteresis: "0.3"',
        "spec.guards.hysteresis",
        11,
        "hysteresis must be below pinRatio.*lower",
        id="hysteresis",
    ),
    pytest.param(
        "  grinding: {interval: 29s}", "spec.grinding.interval", 9, "outside 30s.*taker fees", id="grind-interval"
    ),
    pytest.param(
        "  grinding: {interval: 29999ms}", "spec.grinding.interval", 9, "outside 30s", id="grind-interval-by-1ms"
    ),
    pytest.param("  grinding: {perHour: 121}", "spec.grinding.perHour", 9, "at most 120", id="grinds-per-hour"),
    pytest.param(
        '  vpin: {resume: "0.9"}', "spec.vpin.resume", 9, "threshold <= resume < halt.*order them", id="vpin-order"
    ),
    pytest.param('  minSpreadBps: 0\n  edgeBps: "0"', "spec.minSpreadBps", 9, "above 0.*raise", id="no-spread-at-all"),
    pytest.param("  risk: {stopLoss: 10}\n  risk: {}", "", 10, '"risk" is here twice', id="key-twice"),
    pytest.param("  risk: {stopLoss: 0}", "spec.risk.stopLoss", 9, "must be greater than 0", id="loss-of-nothing"),
    pytest.param(
        '  risk: {stopLoss: "101%"}', "spec.risk.stopLoss", 9, "outside 0 % … 100 %", id="loss-beyond-capital"
    ),
    pytest.param('  risk: {stopLoss: "x%"}', "spec.risk.stopLoss", 9, "not a decimal", id="share-of-nothing"),
    pytest.param("  risk: {failureWindow: 49}", "spec.risk.failureWindow", 9, "at least 50", id="failure-window"),
    pytest.param("  userStream: {ackLag: 2m}", "spec.userStream.ackLag", 9, "outside 50ms … 1m", id="ack-lag"),
    pytest.param("  accountRef: My_Account", "spec.accountRef", 9, "lower-case letters", id="account-name"),
    pytest.param("  onDelete: Close", "spec.onDelete", 9, "one of Withdraw or Flatten", id="on-delete"),
    pytest.param("  ramp: {stages: []}", "spec.ramp.stages", 9, "at least 1 item", id="ramp-without-stage"),
    pytest.param(
        "  risk: {capital: 500}\n"
        '  ramp: {stages: [{capital: 200, minTime: 48h, lossMax: "5%"}, {capital: 200, minTime: 48h, lossMax: "5%"}]}',
        "spec.ramp.stages",
        10,
        "more capital than the one before",
        id="ramp-that-does-not-rise",
    ),
    pytest.param(
        '  ramp:\n    stages:\n    - {capital: 200, minTime: 48h, lossMax: "5%"}',
        "spec.ramp.stages",
        10,
        "set risk.capital",
        id="ramp-without-capital",
    ),
    pytest.param(
        '  risk: {capital: 100}\n  ramp:\n    stages:\n    - {capital: 200, minTime: 48h, lossMax: "5%"}',
        "spec.ramp.stages",
        11,
        "set risk.capital to at least",
        id="ramp-beyond-capital",
    ),
    pytest.param(
        "  ramp:\n    stages:\n    - {capital: 200, lossMax: 5}",
        "spec.ramp.stages[0].minTime",
        11,
        "is required.*lasts at least",
        id="ramp-stage-without-time",
    ),
    pytest.param("  shadow: {netMax: 1}", "spec.shadow.baseSize", 9, "is required", id="shadow-is-a-whole-set"),
    pytest.param(
        "  shadow: {netMax: 1, baseSize: 2}",
        "spec.shadow.baseSize",
        9,
        "baseSize must not exceed",
        id="shadow-has-the-rules",
    ),
]

# A line of the good maker or account, what is written in its place, and what must be said.
REPLACED = [
    pytest.param("  symbol: ETHUSDC", "  symbol: ethusdc", "spec.symbol", 6, "capitals", id="symbol-in-small-letters"),
    pytest.param("  symbol: ETHUSDC", "  symbol: ETH/USDC", "spec.symbol", 6, "capitals", id="symbol-with-slash"),
    pytest.param("  symbol: ETHUSDC", "  symbol: 1", "spec.symbol", 6, "must be text.*quotes", id="symbol-a-number"),
    pytest.param("  symbol: ETHUSDC", "", "spec.symbol", 5, "is required.*BTCUSDT", id="no-symbol"),
    pytest.param('  netMax: "0.20"', "", "spec.netMax", 5, "is required.*Position limit", id="no-net-max"),
    pytest.param('  netMax: "0.20"', "  netMax: 0", "spec.netMax", 7, "greater than 0", id="net-max-zero"),
    pytest.param('  netMax: "0.20"', "  netMax: 0.20", "spec.netMax", 7, "float.*quotes", id="net-max-float"),
    pytest.param(
        '  netMax: "0.20"', '  netMax: "0.30"', "spec.netMax", 7, "exceeds .*0.25.*lower netMax", id="net-max"
    ),
    pytest.param('  baseSize: "0.008"', '  baseSize: "0.3"', "spec.baseSize", 8, "not exceed netMax", id="base-size"),
    pytest.param("  name: ethusdc", "  name: Eth_Usdc", "metadata.name", 4, "lower-case", id="name-not-dns"),
    pytest.param("  name: ethusdc", f"  name: {'a' * 53}", "metadata.name", 4, "longer than 52", id="name-too-long"),
    pytest.param("  name: ethusdc", '  name: ""', "metadata.name", 4, "at least 1 char", id="name-empty"),
    pytest.param("  name: ethusdc", "  generateName: a-", "metadata.name", 3, "is required", id="no-name"),
    pytest.param(
        "  name: ethusdc", "  name: ethusdc\n  namespace: a.b", "metadata.namespace", 5, "lower-case", id="namespace"
    ),
    pytest.param(
        "  name: ethusdc",
        "  name: ethusdc\n  labels: {a: 'b c'}",
        "metadata.labels",
        5,
        "not a valid value",
        id="label-value",
    ),
    pytest.param(
        "  name: ethusdc",
        "  name: ethusdc\n  labels: {'a b': c}",
        "metadata.labels",
        5,
        "not a valid key",
        id="label-key",
    ),
    pytest.param(
        "  name: ethusdc",
        "  name: ethusdc\n  labels: {A_b/c: d}",
        "metadata.labels",
        5,
        "DNS subdomain",
        id="label-prefix",
    ),
    pytest.param(
        "  name: ethusdc",
        "  name: ethusdc\n  labels: {a: 1}",
        "metadata.labels.a",
        5,
        "must be text.*quotes",
        id="label-int",
    ),
    pytest.param(
        "  name: ethusdc",
        "  name: ethusdc\n  annotations: {'/a': b}",
        "metadata.annotations",
        5,
        "DNS",
        id="annotation-key",
    ),
    pytest.param(
        "apiVersion: phoenix.trading/v1alpha1\nkind: MarketMaker",
        "apiVersion: phoenix.trading/v1\nkind: MarketMaker",
        "apiVersion",
        1,
        "not served.*write phoenix.trading/v1alpha1",
        id="api-version",
    ),
    pytest.param("  environment: Testnet", "", "spec.environment", 14, "is required", id="no-environment"),
    pytest.param("  environment: Testnet", "  environment: Prod", "spec.environment", 15, "one of", id="environment"),
    pytest.param(
        "  environment: Testnet",
        "  environment: Simulator",
        "spec.environment",
        15,
        "baseUrl",
        id="simulator-without-address",
    ),
    pytest.param(
        "  environment: Testnet",
        "  environment: Production\n  endpoints: {baseUrl: 'http://evil.example'}",
        "spec.endpoints",
        16,
        "remove them for Testnet and Production",
        id="production-with-an-address",
    ),
    pytest.param(
        "  environment: Testnet",
        "  environment: Simulator\n  endpoints: {baseUrl: 'http://key:secret@host'}",
        "spec.endpoints.baseUrl",
        16,
        "not written as required",
        id="address-with-password",
    ),
    pytest.param(
        "  credentialsSecretRef:\n    name: binance",
        "",
        "spec.environment",
        15,
        "need credentialsSecretRef: name the Secret",
        id="testnet-without-secret",
    ),
    pytest.param(
        "    netNotional: 1000", "    netNotional: 3000", "spec.limits.netNotional", 19, "raise", id="net-over-gross"
    ),
    pytest.param(
        "    dailyLoss: 50", "    dailyLoss: -50", "spec.limits.dailyLoss", 21, "greater than 0", id="daily-loss"
    ),
    pytest.param("    dailyLoss: 50", "", "spec.limits.dailyLoss", 18, "is required", id="no-daily-loss"),
    pytest.param(
        '      ETHUSDC: "0.25"',
        "      BTCUSDT: 1",
        "spec.symbol",
        6,
        "admits no maker of ETHUSDC.*add",
        id="symbol-unlisted",
    ),
    pytest.param(
        '      ETHUSDC: "0.25"',
        '      ETHUSDC: "0.25"\n  settings: {leverage: 126}',
        "spec.settings.leverage",
        24,
        "at most 125",
        id="leverage",
    ),
    pytest.param(
        '      ETHUSDC: "0.25"',
        '      ETHUSDC: "0.25"\n  budgets: {orderShare: "1.5"}',
        "spec.budgets.orderShare",
        24,
        "at most 1",
        id="budget-share",
    ),
    pytest.param(
        '      ETHUSDC: "0.25"',
        '      ETHUSDC: "0.25"\n  emergency: halt',
        "spec.emergency",
        24,
        "one of None",
        id="emergency",
    ),
    pytest.param(
        "  name: default", "  name: other", "spec.accountRef", 5, "no TradingAccount default", id="no-account"
    ),
]
