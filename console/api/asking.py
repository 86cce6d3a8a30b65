"""What a client asks: bodies and query strings into frozen models, wrong ones into faults.

The same models are the OpenAPI document's request schemas, so the two cannot differ.
"""

from __future__ import annotations

import types
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from django.http import QueryDict
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic_core import ErrorDetails
from rest_framework.request import Request

from console.api.errors import InvalidRequestError
from console.problems import Fault

MAX_WAIT_S: Final = 60
MAX_PAGE: Final = 200
MAX_FAULTS: Final = 50


def in_utc(when: datetime) -> datetime:
    """Return the same moment in UTC: databases know fewer offsets than RFC 3339. Raises: ValueError."""
    try:
        return when.astimezone(UTC)
    except OverflowError:
        raise ValueError("This moment is outside the years 1 to 9999 in UTC") from None


# Postgres keeps no NUL in text. Lone surrogates are refused by pydantic itself.
_NO_NUL: Final = r"^[^\x00]*$"
Text = Annotated[str, StringConstraints(pattern=_NO_NUL, max_length=500)]
LongText = Annotated[str, StringConstraints(pattern=_NO_NUL, max_length=4000)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Tag = Annotated[str, StringConstraints(pattern=r"^[^\x00]+$", max_length=100)]
Number = Annotated[int, Field(ge=1, le=2_147_483_647)]
Moment = Annotated[
    AwareDatetime, AfterValidator(in_utc), Field(description="RFC 3339, with its offset from UTC")
]

Asked = TypeVar("Asked", bound="Ask")


class Ask(BaseModel):
    """A body: unknown fields are errors, nothing is converted."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, arbitrary_types_allowed=False)


class Query(Ask):
    """A query string: texts become numbers; unknown parameters are errors, for a typo must not list all."""

    model_config = ConfigDict(strict=False, extra="forbid", frozen=True)


class Waiting(Query):
    """How long a write may hold its answer."""

    wait: float = Field(
        0, ge=0, le=MAX_WAIT_S, description="Hold the answer until the run ends, at most so many seconds."
    )


class Paged(Query):
    """A place in a list."""

    cursor: Text = Field("", description="`next` of the page before.")
    limit: int = Field(50, ge=1, le=MAX_PAGE, description="Results on a page.")


def body(request: Request, model: type[Asked]) -> Asked:
    """Read the body. Raises: InvalidRequestError."""
    return validated(request.data, model)


def query(request: Request, model: type[Asked]) -> Asked:
    """Read the query string. Raises: InvalidRequestError."""
    return validated(_values(request.query_params, model), model)


def validated(value: Any, model: type[Asked]) -> Asked:
    """Check a value against a model. Raises: InvalidRequestError, with every fault."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise InvalidRequestError(tuple(_fault(each) for each in found[:MAX_FAULTS])) from None


def _values(asked: QueryDict, model: type[Ask]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, given in asked.lists():
        field = model.model_fields.get(name)
        if field is not None and _is_many(field.annotation):
            values[name] = given
        elif len(given) > 1:
            raise InvalidRequestError((Fault(path=name, message="Given more than once."),))
        else:
            values[name] = given[0]
    return values


def _is_many(annotation: Any) -> bool:
    """Say whether a parameter may be given more than once: `Annotated[list[…], …] | None`."""
    if get_origin(annotation) in {Union, types.UnionType}:
        return any(_is_many(option) for option in get_args(annotation))
    if get_origin(annotation) is Annotated:
        return _is_many(get_args(annotation)[0])
    return get_origin(annotation) is list


_WORDS: Final = {
    "missing": "This field is required.",
    "extra_forbidden": "There is no such field here; check its spelling.",
    "string_unicode": "This text holds half a surrogate pair, which is no character.",
    "model_type": "A JSON object is expected.",
    "model_attributes_type": "A JSON object is expected.",
}


def _fault(found: ErrorDetails) -> Fault:
    message = _WORDS.get(found["type"]) or found["msg"].rstrip(".") + "."
    if found["type"] == "string_pattern_mismatch" and "x00" in found["msg"]:
        message = "This text must not be empty or hold NUL characters."
    return Fault(path=path_of(found["loc"]), message=message)


def path_of(parts: Iterable[str | int]) -> str:
    """Write a place in a JSON value: `input.items[3].name`."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\u0000")[:300]


def moment(when: datetime | None) -> str | None:
    """Write a time as RFC 3339 in UTC, to the microsecond."""
    return when.isoformat().replace("+00:00", "Z") if when else None
