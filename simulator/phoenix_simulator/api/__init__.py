"""The wire: REST, market streams, user data, WebSocket API and control. Everything that knows JSON, headers, keys and
signatures is here and nothing of it in `exchange`; `gateway` is the one pipeline through which every request goes.
"""
