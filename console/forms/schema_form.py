"""A form made from a workflow's input schema: JSON Schema → fields, and what was typed → JSON. Shape only.

Whether the value fits the schema is decided by `workflows.runs.start`; its errors are put at the fields.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from workflows.spec import secret_fields
from workflows.spec.secret_fields import Marked

Json = Any
WHOLE: Final = "__input__"  # the name of the one field of a schema that is no plain object
PREFIX: Final = "input."  # of the names in a form, apart from the form's own fields
_LONG_FROM: Final = 120


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field: what it asks for, how it is typed, what stands in it, what is wrong with it."""

    name: str
    label: str
    control: str  # line | text | number | check | choice | json | secret
    required: bool
    hint: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    value: str = ""
    checked: bool = False
    whole_number: bool = False
    errors: tuple[str, ...] = ()
    places: tuple[Marked, ...] = ()  # of the secrets in its value

    @property
    def key(self) -> str:
        """The name in the form, apart from the form's own fields. What begins with `secret.` is kept nowhere."""
        return f"secret.{self.name}" if self.places else f"{PREFIX}{self.name}"


@dataclass(frozen=True)
class Typed:
    """What a form came to: the value, and what could not be read, by field."""

    value: Json
    problems: Mapping[str, str] = field(default_factory=dict)


def fields(schema: Mapping[str, Json]) -> tuple[Field, ...]:
    """Return what a schema asks for: a field for each property of an object, else one for all."""
    properties = schema.get("properties")
    if schema.get("type", "object") != "object" or not isinstance(properties, dict) or not properties:
        places = secret_fields.marked(schema)
        return (
            Field(
                name=WHOLE,
                label="Input",
                control="json",
                required=True,
                hint="JSON",
                value="{}",
                places=places,
            ),
        )
    required = schema.get("required", [])
    # What is needed stands first, in the order that the schema names it.
    names = [name for name in required if name in properties]
    names += [name for name in properties if name not in required]
    parts = {name: part if isinstance(part, dict) else {} for name, part in properties.items()}
    return tuple(_field(name, parts[name], required=name in required) for name in names)


def _field(name: str, part: Mapping[str, Json], *, required: bool) -> Field:
    control = _control(part)
    made = Field(
        name=name,
        label=str(part.get("title") or _label(name)),
        control=control,
        required=required,
        hint=_hint(part, control),
        choices=tuple((json.dumps(choice), str(choice)) for choice in part.get("enum", [])),
        whole_number=part.get("type") == "integer",
        places=((),) if control == "secret" else secret_fields.marked(part),
    )
    return filled(made, part["default"]) if "default" in part else made


def _control(part: Mapping[str, Json]) -> str:
    if part.get(secret_fields.MARK) is True:
        return "secret"
    if part.get("enum"):
        return "choice"
    kind = part.get("type")
    if kind == "string":
        short = part.get("maxLength", _LONG_FROM + 1) <= _LONG_FROM or "format" in part
        return "line" if short else "text"
    return {"number": "number", "integer": "number", "boolean": "check"}.get(str(kind), "json")


def _hint(part: Mapping[str, Json], control: str) -> str:
    parts = [str(part["description"])] if part.get("description") else []
    limits = {
        "minimum": "at least {}",
        "maximum": "at most {}",
        "minLength": "at least {} characters",
        "maxLength": "at most {} characters",
        "minItems": "at least {} items",
        "maxItems": "at most {} items",
        "format": "{}",
    }
    parts += [text.format(part[key]) for key, text in limits.items() if key in part]
    if control == "json":
        parts.append(f"JSON{': a list' if part.get('type') == 'array' else ''}")
    if control == "secret":
        parts.append("stored encrypted; a mask is shown in its place")
    told = " · ".join(parts)
    return told[:1].upper() + told[1:]


def filled(blank: Field, value: Json) -> Field:
    """Put a value into a field."""
    if blank.control == "check":
        return replace(blank, checked=bool(value))
    if blank.control == "choice":
        return replace(blank, value=json.dumps(value))
    if blank.control == "json":
        return replace(blank, value=json.dumps(value, indent=2, ensure_ascii=False))
    return replace(blank, value="" if value is None else str(value))


def prefilled(blank: Iterable[Field], value: Json) -> tuple[Field, ...]:
    """Put an earlier input into the fields; secrets are asked for anew."""
    known = value if isinstance(value, dict) else {}
    made = []
    for each in blank:
        if each.name == WHOLE:
            made.append(filled(each, _without_secrets(each, value)))
        elif each.name in known and each.control != "secret":
            made.append(filled(each, _without_secrets(each, known[each.name])))
        else:
            made.append(each)
    return tuple(made)


def _without_secrets(asked: Field, value: Json) -> Json:
    return secret_fields.changed(value, asked.places, lambda path, text: "")


def read(asked: Iterable[Field], posted: Mapping[str, str]) -> Typed:
    """Turn what was typed into JSON; what stays empty and is not required is left out."""
    value: dict[str, Json] = {}
    problems: dict[str, str] = {}
    for each in asked:
        text = posted.get(each.key, "")
        if each.control == "check":
            value[each.name] = bool(text)
        elif text.strip() or (each.required and each.control in {"line", "text", "secret"}):
            try:
                value[each.name] = _value(each, text)
            except ValueError as problem:
                problems[each.name] = str(problem)
        elif each.required:
            problems[each.name] = "Needed."
    return Typed(value.get(WHOLE) if WHOLE in value or WHOLE in problems else value, problems)


def _value(asked: Field, text: str) -> Json:
    if asked.control in {"line", "text", "secret"}:
        return text.replace("\r\n", "\n")
    if asked.control == "number":
        return _number(asked, text.strip())
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("This JSON is nested too deeply.") from None
    except json.JSONDecodeError as problem:
        raise ValueError(
            f"Not JSON: {problem.msg} in line {problem.lineno}, column {problem.colno}."
        ) from None


def _no_constant(name: str) -> Json:
    raise ValueError(f"Not JSON: {name} is no JSON value.")


def _number(asked: Field, text: str) -> int | float:
    try:
        number = float(text)
        if number != number or number in (float("inf"), float("-inf")):
            raise ValueError
        return int(text) if number == int(number) and "e" not in text.lower() and "." not in text else number
    except (ValueError, OverflowError):
        raise ValueError(
            "A whole number is expected." if asked.whole_number else "A number is expected."
        ) from None


def again(
    asked: Iterable[Field], posted: Mapping[str, str], errors: Mapping[str, list[str]]
) -> tuple[Field, ...]:
    """Return the fields as they were sent, with what is wrong at each: nothing typed is lost but secrets."""
    return tuple(
        replace(
            each,
            value=_typed_again(each, posted.get(each.key, "")),
            checked=bool(posted.get(each.key)),
            errors=tuple(errors.get(each.name, ())) or _asked_again(each, posted.get(each.key, "")),
        )
        for each in asked
    )


def _asked_again(asked: Field, text: str) -> tuple[str, ...]:
    """Return what is said where a typed secret was not sent back."""
    return ("Enter it again: no page shows a secret.",) if text and _typed_again(asked, text) != text else ()


def _typed_again(asked: Field, text: str) -> str:
    """Return what a field shows of what was typed; of JSON that cannot be read nobody knows what is secret in it."""
    if not asked.places:
        return text
    try:
        value = _value(asked, text)
    except ValueError:
        return ""
    return "" if asked.control == "secret" else filled(asked, _without_secrets(asked, value)).value


def carried(before: Iterable[Field], after: Iterable[Field], posted: Mapping[str, str]) -> tuple[Field, ...]:
    """Put what was typed into the fields of one schema into those of another.

    A field that is new keeps its default; a choice that the other schema does not have is said at its field.
    """
    asked = {each.name: each for each in before}
    return tuple(_carried(asked.get(each.name), each, posted) for each in after)


def _carried(before: Field | None, after: Field, posted: Mapping[str, str]) -> Field:
    if before is None and after.key not in posted:
        return after
    text = posted.get(after.key, "")
    if after.places or (
        before and before.places
    ):  # no page shows a secret, not even one that is none elsewhere
        return replace(after, value=_typed_again(after, text), errors=_asked_again(after, text))
    moved = _retyped(before, after, posted) if before and before.control != after.control else None
    moved = moved or replace(after, value=text, checked=bool(text))
    known = {value for value, _ in after.choices}
    if after.control == "choice" and moved.value and moved.value not in known:
        return replace(moved, value="", errors=(f"{moved.value} cannot be chosen here.",))
    return moved


def _retyped(before: Field, after: Field, posted: Mapping[str, str]) -> Field | None:
    """Read it as what it was, and write it as what it is now; None where that cannot be read."""
    typed = read([before], posted)
    known = typed.value if isinstance(typed.value, dict) else {}
    return filled(after, known[before.name]) if before.name in known else None


def unasked(after: Iterable[Field], posted: Mapping[str, str]) -> tuple[Field, ...]:
    """Return what was typed and the schema does not ask for, to be kept until it does."""
    asked = {each.name for each in after}
    names = [key.removeprefix(PREFIX) for key in posted if key.startswith(PREFIX)]
    kept = (
        Field(name=name, label=_label(name), control="line", required=False, value=posted[PREFIX + name])
        for name in names
        if name not in asked
    )
    return tuple(each for each in kept if each.value.strip())


def _label(name: str) -> str:
    return "Input" if name == WHOLE else name.replace("_", " ").capitalize()


def by_field(
    errors: Iterable[tuple[str, str]], asked: Iterable[Field]
) -> tuple[dict[str, list[str]], list[str]]:
    """Sort (path, message) pairs to the fields they speak of; the rest is for the form as a whole."""
    names = {each.name for each in asked}
    placed: dict[str, list[str]] = {}
    rest: list[str] = []
    for path, message in errors:
        parts = [
            part for part in path.replace("[", "/").replace("]", "").replace(".", "/").split("/") if part
        ]
        parts = parts[1:] if parts and parts[0] in {"$", "input"} and parts[0] not in names else parts
        if parts and parts[0] in names:
            deeper = "/".join(parts[1:])
            placed.setdefault(parts[0], []).append(f"{deeper}: {message}" if deeper else message)
        elif WHOLE in names:
            placed.setdefault(WHOLE, []).append(f"{path}: {message}" if path else message)
        else:
            rest.append(f"{path}: {message}" if path else message)
    return placed, rest
