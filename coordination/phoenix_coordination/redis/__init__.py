"""What the workers of one account share, in Redis: leases, the exposure ledger, switches, budgets, state records.

client        connects, checks the server, says plainly what is wrong
keys          every key and channel
scripts       the atomic steps (`scripts/*.lua`, each with what it promises)

lease         who may trade a symbol: observed expiry, the holder's own deadline
beat          one heartbeat at the server, which reads everything in one instant
campaign      a lease from the first heartbeat to its release or hand-over
switches      sticky switches: the account's emergency, a symbol's risk halt
ledger        what a symbol may lose the account: amounts, entries, settling
reservations  one symbol's dealings with the ledger, and the rebuild after a loss
budgets       what one worker may send of what the exchange grants to many
records       state records and memory
announcements what a worker tells before it knows whose account it has
foreign       values under our keys that no worker wrote
reachability  whether all that can be read and written
news          what others say, as it happens
writes        what holds nobody up
coordinator   the worker's port over all of these

steward       the office that looks after what belongs to no symbol
account       what people, runner and operator do with an account
server        a redis-server of this machine, for local runs and tests
"""
