"""What libraries say is passed on, but for the one line of kopf's that is always there and always meant."""

import logging

import orjson
import pytest
import structlog
from phoenix_operator.logs import configure
from phoenix_operator.settings import LogLevel


@pytest.fixture(autouse=True)
def logging_as_it_was():
    root, running = logging.getLogger(), logging.getLogger("kopf._core.reactor.running")
    handlers, level, filters = root.handlers, root.level, list(running.filters)
    kopf_level = logging.getLogger("kopf").level
    yield
    root.handlers, running.filters = handlers, filters
    root.setLevel(level)
    logging.getLogger("kopf").setLevel(kopf_level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("source", "text", "told"),
    [
        ("kopf._core.reactor.running", "OS signals are ignored: running not in the main thread.", False),
        ("kopf._core.reactor.running", "a task has ended", True),
        ("kubernetes", "OS signals are ignored: running not in the main thread.", True),
    ],
    ids=["kopf in its thread", "kopf of something else", "another library"],
)
def test_a_library_that_warns_is_passed_on(capsys, source, text, told):
    configure(LogLevel.INFO)
    logging.getLogger(source).warning(text)
    lines = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["source"], line["text"], line["level"]) for line in lines] == [(source, text, "warning")] * told
