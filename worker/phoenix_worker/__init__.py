"""The worker: one symbol of one account.

A pure engine (`core`) in an asyncio shell (`runtime`), the exchange behind a port (`venue`).
"""
