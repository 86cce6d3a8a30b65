"""Structured logs: a constant event name and fields. JSON lines where nobody watches, columns on a terminal.

Never prompts, outputs or secrets: fields with such names are withheld here, whoever passes them.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.types import Processor

from workflows.spec.masks import acting_with

LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR"]
# fmt: off
WITHHELD = frozenset({
    "prompt", "messages", "input", "output", "text", "reply", "request", "response", "body", "content",
    "arguments", "password", "secret", "token", "authorization", "api_key", "credential", "cookie",
})
# fmt: on


def withhold(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace what must not be written down."""
    for name in event.keys() & WITHHELD:
        event[name] = "(withheld)"
    return event


def scrub(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask the secrets that this thread acts with, in tracebacks too, which then show no values of variables."""
    veil = acting_with.get()
    if not veil.secrets:
        return event
    written = structlog.processors.format_exc_info(logger, method, event)
    return {**veil.scrub(written)}


_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    withhold,
]


def configuration(*, level: str, terminal: bool) -> dict[str, Any]:
    """Return Django's LOGGING; Celery and uvicorn are told to leave logging alone and land here too."""
    last: list[Processor] = (
        [scrub, structlog.dev.ConsoleRenderer()]
        if terminal
        else [scrub, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Django's own handlers (a console one, mail to admins) would say everything twice.
            "django": {"handlers": [], "level": level, "propagate": True},
            "django.server": {"handlers": [], "level": level, "propagate": True},
            # One line for each doorbell is noise; the journal has what happened.
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},
            "httpx2": {"level": "WARNING"},
        },
    }


def configure_structlog() -> None:
    """Send structlog's events through the standard library's handlers, set up by LOGGING."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
