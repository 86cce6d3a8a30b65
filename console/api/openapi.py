"""The OpenAPI document: how our models and shapes appear in it, and what every operation may answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from drf_spectacular.drainage import set_override
from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from typing_extensions import TypedDict

from console import problems
from console.api.asking import Ask

_REFERENCES: Final = "#/components/schemas/{model}"
View = TypeVar("View", bound=Callable[..., Any])


class FaultShape(TypedDict, total=False):
    """One wrong place; `file` and `line` in definitions."""

    path: str
    message: str
    file: str
    line: int


class ProblemShape(TypedDict):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FaultShape]
    request_id: str


class _Answer:
    """A shape of an answer, given as a TypedDict; an instance, for that is what extensions match."""

    def __init__(self, shape: Any, name: str) -> None:
        self.shape, self.name = shape, name


def answer(shape: Any, name: str = "") -> _Answer:
    """Let a TypedDict stand in the document under its name."""
    return _Answer(shape, name or _component(shape.__name__))


def _component(name: str) -> str:
    return name.removesuffix("Shape")


class _AnswerExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    target_class = "console.api.openapi._Answer"

    def get_name(self, auto_schema: AutoSchema, direction: str) -> str:
        """Return the component's name."""
        set_override(self.target, "suppress_collision_warning", True)
        return str(self.target.name)

    def map_serializer(self, auto_schema: AutoSchema, direction: str) -> JsonSchemaValue:
        """Return its schema; inner shapes become components of their own."""
        adapter: TypeAdapter[Any] = TypeAdapter(self.target.shape)
        made = adapter.json_schema(ref_template=_REFERENCES, mode="serialization")
        schema: JsonSchemaValue = json.loads(json.dumps(made).replace('Shape"', '"'))
        for name, inner in schema.pop("$defs", {}).items():
            component = ResolvedComponent(  # type: ignore[no-untyped-call]
                name=_component(name), type=ResolvedComponent.SCHEMA, object=_Answer, schema=inner
            )
            auto_schema.registry.register_on_missing(component)
        return schema


_PROBLEM: Final = answer(ProblemShape)
_MEANINGS: Final[Mapping[int, str]] = {
    400: "The request cannot be read.",
    401: "No token, or one that lets nobody in.",
    403: "The role does not allow it.",
    404: "There is no such object.",
    405: "The address does not take this method.",
    409: "The object's state does not allow it.",
    410: "It is not stored any more.",
    411: "The body's length was not announced.",
    413: "The body is too large.",
    415: "The body's content type is not taken here.",
    422: "The input is wrong; `errors` says where.",
    429: "Too much at once; `Retry-After` says when.",
    500: "The server failed.",
    502: "A provider failed.",
    503: "The database does not answer.",
    504: "A provider did not answer in time.",
}
_ALWAYS: Final = (400, 401, 403, 500, 503)
_WITH_BODY: Final = (411, 413, 415, 422)


@dataclass(frozen=True)
class Raw:
    """An answer that is not one of our shapes: the schema of each media type."""

    schemas: Mapping[str, Mapping[str, Any]]


def operation(
    summary: str,
    *,
    answers: Mapping[int, Any],
    problems_too: Sequence[int] = (),
    asks: Any = None,
    query: type[Ask] | None = None,
    headers: Sequence[OpenApiParameter] = (),
    **more: Any,
) -> Callable[[View], View]:
    """Describe one operation: what it takes, what it answers, and how it refuses."""
    refusals = {*_ALWAYS, *problems_too, *((422,) if query else ()), *(_WITH_BODY if asks else ())}
    responses: dict[Any, Any] = {}
    for status, shape in answers.items():
        forms = shape.schemas if isinstance(shape, Raw) else {"application/json": shape}
        for media_type, form in forms.items():
            responses[(status, media_type)] = OpenApiResponse(form, description=summary)
    for status in sorted(refusals):
        responses[(status, problems.MEDIA_TYPE)] = OpenApiResponse(_PROBLEM, description=_MEANINGS[status])
    parameters = [*(parameters_of(query) if query else ()), *headers]
    return extend_schema(
        operation_id=re.sub(r"\W+", "_", summary.lower().replace("'s", "")),
        summary=summary,
        request=asks,
        responses=responses,
        parameters=parameters,
        filters=False,
        **more,
    )


def parameters_of(model: type[Ask]) -> list[OpenApiParameter]:
    """Return a query model's fields as parameters."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    return [
        _parameter(name, _inlined(dict(part), definitions), required=name in schema.get("required", ()))
        for name, part in schema["properties"].items()
    ]


def _inlined(part: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" in part:
        part = {**definitions[part.pop("$ref").rsplit("/", 1)[1]], **part}
    options = part.get("anyOf")
    if options:
        # A parameter that is absent is absent: null is not a value of a query string.
        kept = [option for option in options if option.get("type") != "null"]
        if len(kept) == 1:
            part = {**kept[0], **{key: value for key, value in part.items() if key != "anyOf"}}
    if part.get("default", "") is None:
        del part["default"]
    return part


def _parameter(name: str, schema: dict[str, Any], *, required: bool) -> OpenApiParameter:
    description = schema.pop("description", "")
    schema.pop("title", None)
    many = schema.get("type") == "array"
    return OpenApiParameter(
        name,
        type=schema,
        location=OpenApiParameter.QUERY,
        required=required,
        description=description,
        explode=True if many else None,
        style="form" if many else None,
    )
