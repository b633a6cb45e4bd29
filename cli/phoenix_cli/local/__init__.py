"""The local runner: one worker process per maker and a simulated exchange on this machine, probed, restarted, stopped.

```
layout.py      the state directory: what lies where, one run at a time
fleet.py       which makers a run has, each beside its account
parameters.py  what each worker reads: resolved, and written again when it changes
guardian.py    a tiny process that outlives a killed runner just long enough to stop its children
process.py     one child process: log file, signals, bounded stop
exchange.py    the simulated exchange: its process and its control interface
maker.py       one maker: its worker processes one after the other, what they said, when they are started again
restarts.py    the operator's rule, fed with a run's workers
faults.py      `KIND@T`: what it means              inject.py    makes it happen
runner.py      the run: where the parts meet
report.py      the JSON report: workers' figures, exchange's books, and whether they agree
describe.py    state records in words               view.py      what a screen shows, whoever draws it
runfile.py     what `phoenix top` attaches to
```
"""
