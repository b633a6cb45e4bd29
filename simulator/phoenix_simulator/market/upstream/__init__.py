"""A live market from elsewhere: the public data of any server that speaks the venue's protocol, for paper trading."""
