"""Domain → wire: the only place that decides how a number is printed. Acks and queries are padded to the symbol's
precisions, user data events are compact, market frames are ready-made bytes.
"""
