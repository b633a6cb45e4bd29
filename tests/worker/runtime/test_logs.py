import io
import json
import logging
import threading
import time

import pytest
from phoenix_worker.runtime import logs
from phoenix_worker.runtime.clock import Clock
from phoenix_worker.runtime.logs import BURST, SAMPLED, FromStandardLogging, LineWriter, Sampler, open_log
from phoenix_worker.runtime.redaction import Redactor

SECRET = "3ca2f468986ba88ee8270b62bb9afd4f"


def test_an_event_is_one_json_line_with_time_level_and_context(logged):
    logged.log.info("fill", text="BUY 1\nat 2", qty=3)
    (line,) = logged.read()
    assert line["event"] == "fill"
    assert line["level"] == "info"
    assert line["symbol"] == "BTCUSDT"
    assert line["text"] == "BUY 1\nat 2"
    assert line["time"].endswith("Z")
    assert len(line["time"]) == len("2026-11-21T06:33:05.474Z")


def test_the_time_is_the_run_s():
    stream = io.StringIO()

    log, writer = open_log(Clock.scaled(1_000_000_000_000_000_000, time.monotonic_ns(), 1.0), Redactor(), stream)
    log.info("x")
    writer.close()
    assert json.loads(stream.getvalue())["time"].startswith("2001-09-09T01:46:4")


def test_a_secret_never_reaches_a_line(logged, redact):
    redact.hide([SECRET])
    logged.log.info("order", text=f"signed with {SECRET}", **{f"key {SECRET}": SECRET})
    logged.log.error("crash", stack=f"listenKey={SECRET}x", error=ValueError(SECRET))
    assert SECRET not in logged.text
    assert logged.text.count("[hidden]") >= 5


def test_repeats_of_a_kind_are_sampled_and_how_many_were_left_out_is_said():
    clock = Clock()
    now = [0]
    clock.monotonic_ns = lambda: now[0]
    stream = io.StringIO()
    log, writer = open_log(clock, Redactor(), stream)
    for _ in range(100):
        log.warning("refused", **{SAMPLED: "worst-case"})
    log.warning("refused", **{SAMPLED: "budget"})
    now[0] = 10_000_000_000
    log.warning("refused", **{SAMPLED: "worst-case"})
    writer.close()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) == BURST + 2
    assert lines[-1]["suppressed"] == 100 - BURST
    assert all(SAMPLED not in line for line in lines)


def test_lines_without_a_kind_always_pass(clock):
    sampler = Sampler(clock)
    assert all(sampler(None, "info", {"event": "fill"}) == {"event": "fill"} for _ in range(1000))


class StuckStream(io.StringIO):
    """A pipe that nobody reads."""

    def __init__(self):
        super().__init__()
        self.read_on = threading.Event()

    def write(self, text):
        self.read_on.wait(20)
        return super().write(text)


def test_who_does_not_read_us_loses_lines_and_never_holds_us_up(monkeypatch):
    monkeypatch.setattr(logs, "QUEUED_LINES", 100)
    stream = StuckStream()
    writer = LineWriter(stream)
    for number in range(1000):
        writer.msg(str(number))
    assert writer.dropped >= 899
    stream.read_on.set()
    writer.close()
    assert stream.getvalue().splitlines()[0] == "0"


class BrokenStream(io.StringIO):
    def write(self, _):
        raise BrokenPipeError(32, "Broken pipe")


def test_a_broken_pipe_ends_no_thread():
    writer = LineWriter(BrokenStream())
    for _ in range(10):
        writer.msg("x")
    writer.close()
    assert writer.dropped == 10


@pytest.mark.parametrize(("level", "told"), [(logging.WARNING, "warning"), (logging.ERROR, "error")])
def test_what_libraries_log_becomes_a_line_of_ours(logged, redact, level, told):
    redact.hide([SECRET])
    logger = logging.getLogger("aiohttp.server.test")
    handler = FromStandardLogging(logged.log)
    logger.addHandler(handler)
    logger.log(level, "handling %s", "a request", exc_info=ValueError(SECRET))
    logger.removeHandler(handler)
    (line,) = logged.read()
    assert line["level"] == told
    assert (line["source"], line["text"]) == ("aiohttp.server.test", "handling a request")
    assert "ValueError: [hidden]" in line["stack"]
