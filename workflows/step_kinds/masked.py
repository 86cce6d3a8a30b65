"""Values that go to a tool or a child run, held against its schema, where masks may stand for secrets.

A step is prepared without knowing any secret, so that it can be replayed. What a mask stands for is judged when the
step acts, by the port. Pure.
"""

from __future__ import annotations

from typing import Any, Final

from workflows.engine.outcomes import StepFailure
from workflows.engine.port import Port
from workflows.spec import schema, secret_fields
from workflows.spec.masks import MASK
from workflows.spec.places import written
from workflows.spec.secret_fields import Marked

Json = Any
# In a prepared input: some of it can be judged by the port alone.
MASKED: Final = "masked"


def check(declared: schema.Schema, value: Json, what: str) -> dict[str, bool]:
    """Hold a value against a schema; return what the prepared input says of it.

    Raises:
        StepFailure: `input_invalid`, with each path.
    """
    if not schema.errors(declared, value):
        return {}
    _refuse(secret_fields.problems_apart(declared, value), what)
    return {MASKED: True}


def check_revealed(declared: schema.Schema, value: Json, what: str, port: Port) -> None:
    """Hold what the masks stand for against the schema. Raises: StepFailure."""
    _refuse(tuple(port.fits(declared, value)), what)


def check_secrets(value: Json, places: tuple[Marked, ...], workflow: str) -> None:
    """A child run's secret can only be one of this run: anything else stands in this run's record in clear.

    Raises:
        StepFailure: `input_invalid`, with each path.
    """
    for path, text in secret_fields.texts(value, places).items():
        if not MASK.fullmatch(text):
            raise StepFailure(
                f"{written(path)} is a secret field of workflow {workflow}, and what this step gives is "
                "no secret of its own run: it would be recorded here in clear. Mark the field of this workflow's input "
                "that it comes from with `x-secret`, and pass it on as it is.",
                error_class="input_invalid",
            )


def _refuse(problems: tuple[tuple[str, str], ...], what: str) -> None:
    if problems:
        told = "; ".join(f"{path}: {message}" for path, message in problems[:5])
        raise StepFailure(f"{what} not fit its input schema: {told}", error_class="input_invalid")
