"""The exchange's domain: pure and synchronous. No asyncio, no JSON, no wall clock; time is an argument.

Units: prices are integer ticks, quantities integer steps, money integer 1e-8 of its asset (`_e8`), times Unix ms.
"""
