"""What a set of makers needs and may lose before it runs: the market assumed, makers, accounts, words."""
