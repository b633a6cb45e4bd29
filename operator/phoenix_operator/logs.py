"""What the operator says: one JSON object a line on stdout; its libraries' warnings, too. Nothing secret gets here: it
reads no Secret, and what it knows of Redis' URL never leaves the client.
"""

import logging
import sys

import orjson
import structlog

from phoenix_operator.settings import LogLevel

_LIBRARIES = "library"
_RUNS_IN_A_THREAD = ("kopf._core.reactor.running", "OS signals are ignored: running not in the main thread.")
"""kopf says so at each start. It is meant: the operator heeds signals itself, in its own loop."""


def configure(level: LogLevel) -> None:
    """Once, before anything is said."""
    number = logging.getLevelNamesMapping()[level.value.upper()]
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [_Bridge(max(number, logging.WARNING))]
    root.setLevel(max(number, logging.WARNING))
    logging.getLogger("kopf").setLevel(logging.WARNING)  # it has a line for each event that was handled
    source, text = _RUNS_IN_A_THREAD
    logging.getLogger(source).addFilter(lambda record: record.getMessage() != text)


class _Bridge(logging.Handler):
    """Standard logging, told as ours."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        said = {"source": record.name, "text": record.getMessage()}
        if record.levelno >= logging.ERROR:
            log.error(_LIBRARIES, **said)
        else:
            log.warning(_LIBRARIES, **said)


def _dumps(event: object, **_: object) -> str:
    return orjson.dumps(event, default=str).decode()
