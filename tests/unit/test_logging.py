from __future__ import annotations

import io
import json
import logging
import logging.config
from collections.abc import Iterator

import pytest
import structlog

from console.logging import WITHHELD, configuration


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged as JSON, through a handler of our own beside those of the test run."""
    formatter = configuration(level="INFO", terminal=False)["formatters"]["structured"]
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=formatter["foreign_pre_chain"], processors=formatter["processors"]
        )
    )
    logger = logging.getLogger("interlock.test")
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)


def test_an_event_is_a_line_of_json_with_its_fields(lines: io.StringIO) -> None:
    structlog.get_logger("interlock.test").warning("run_started", run_id="r_1", attempt=2)
    logged = json.loads(lines.getvalue())
    assert (logged["event"], logged["run_id"], logged["attempt"]) == ("run_started", "r_1", 2)
    assert logged["level"] == "warning"
    assert logged["timestamp"].endswith("Z")


def test_lines_of_libraries_have_the_same_form(lines: io.StringIO) -> None:
    logging.getLogger("interlock.test").warning("pool %s", "full")
    assert json.loads(lines.getvalue())["event"] == "pool full"


@pytest.mark.parametrize("name", sorted(WITHHELD))
def test_what_may_not_be_logged_is_withheld(lines: io.StringIO, name: str) -> None:
    structlog.get_logger("interlock.test").warning("call_failed", **{name: "the patient's name"})
    assert "patient" not in lines.getvalue()


def test_an_exception_is_one_line(lines: io.StringIO) -> None:
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        structlog.get_logger("interlock.test").exception("step_failed")
    [line] = lines.getvalue().splitlines()
    assert "RuntimeError: broken" in json.loads(line)["exception"]
