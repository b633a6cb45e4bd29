"""A read-only page for people: the makers of a fleet, live. The operator serves it, and so does `phoenix demo`.

roster.py   what whoever serves it knows by itself: which makers and accounts there are
reader.py   what Redis knows of them
picture.py  pure: both, as the page shows it
watch.py    one reader for everybody who looks; nothing at all while nobody does
server.py   HTTP
static/     the page: what the browser gets, as it is
"""
