"""What the exchange sees and no client should do. `ledger` holds the rules, `books` knows who can see the market, and
`declared` what a test or a demo has said about limits, stops and ends.
"""
