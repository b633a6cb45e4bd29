"""What the workers of one account share, in Redis: leases, the exposure ledger, the emergency switch, state records.

client       connects, checks the server, says plainly what is wrong
keys         every key and channel
scripts      the atomic steps (`scripts/*.lua`, each with what it promises)
lease        who may trade a symbol: observed expiry, the holder's own deadline
ledger       what a symbol may lose the account: amounts, and the rebuild after a loss
emergency    the sticky switch as one worker knows it
records      state records and snapshots
coordinator  the port over all of these
server       a redis-server of this machine, for local runs and tests
"""
