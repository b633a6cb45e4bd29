"""The local runner: one worker process per maker and a simulated exchange on this machine, probed, restarted, stopped.

```
layout.py      the state directory: what lies where, one run at a time
guardian.py    a tiny process that outlives a killed runner just long enough to stop its children
process.py     one child process: log file, signals, bounded stop
exchange.py    the simulated exchange: its process and its control interface
faults.py      `KIND@T`: what it means, when it happens
maker.py       one maker: its worker processes one after the other, what they said, when they are started again
runner.py      the run: where the parts meet
report.py      the JSON report: worker's figures, exchange's books, and whether they agree
runfile.py     what `phoenix top` attaches to
view.py        what a screen shows, whoever draws it
```
"""
