"""The JSON Schemas of steps, one for each kind, those that the engine cannot run yet included (pure data)."""

from __future__ import annotations

from collections.abc import Mapping

from workflows.spec.shapes import (
    ANY,
    DURATION,
    FILLED,
    FREE,
    IDENTIFIER,
    MAX_STEPS,
    MONEY,
    POSITIVE,
    REFERENCE,
    RETRY,
    SCHEMA,
    TEXT,
    Shape,
    list_of,
    mapping,
    matching,
    one_of,
    whole,
)

STEPS: Shape = {"type": "array", "minItems": 1, "maxItems": MAX_STEPS}
EXPRESSION = FILLED
_WITH: Shape = {"type": "object", "x-expected": "a mapping of names to values"}

_ERROR_CLASS = matching("^[a-z][a-z_]{0,62}$", "an error class such as `timeout`")
_RETRY = RETRY | {"properties": {**RETRY["properties"], "on": list_of(_ERROR_CLASS, least=1)}}

# What every step may have, whatever its kind.
COMMON: Mapping[str, Shape] = {
    "id": IDENTIFIER,
    "needs": {**list_of(IDENTIFIER), "uniqueItems": True},
    "when": EXPRESSION,
    "retry": _RETRY,
    "timeout": DURATION,
    "on_error": one_of("fail", "continue"),
    "cache": DURATION,
    "note": TEXT,
}


def _step(kind: str, shape: Shape, required: str = "", **fields: Shape) -> Shape:
    return mapping(
        f"id {kind} {required}", **{**COMMON, kind: shape, **{k.rstrip("_"): v for k, v in fields.items()}}
    )


_SCOPE = one_of("session", "workflow", "global")
_CHANGE = mapping(
    "scope key", scope=_SCOPE, key=FILLED, value=ANY, on_conflict=one_of("fail", "retry", "overwrite")
)
_MEMORY = mapping(
    read=mapping("scope key", scope=_SCOPE, key=FILLED),
    write=_CHANGE | {"required": ["scope", "key", "value"]},
    append=_CHANGE | {"required": ["scope", "key", "value"]},
    delete=_CHANGE,
)
SIGNAL = matching("^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", "a name of letters, digits, `.`, `_` and `-`")
_APPROVAL = mapping(
    "title",
    title=FILLED,
    details=TEXT,
    fields=SCHEMA,
    group={"type": "string", "minLength": 1, "maxLength": 150},
    timeout=DURATION,
    on_timeout=one_of("approve", "reject", "fail"),
)
CASE = mapping(
    "steps", when=EXPRESSION, else_={"type": "null", "x-expected": "nothing: write `else:`"}, steps=STEPS
)

STEP_SHAPES: Mapping[str, Shape] = {
    "prompt": _step(
        "prompt",
        REFERENCE,
        "route",
        route=REFERENCE,
        with_=_WITH,
        params=FREE,
        output=SCHEMA,
        repair=whole(0, 3),
    ),
    "retrieve": _step(
        "retrieve",
        REFERENCE,
        "query",
        query=FILLED,
        top_k=whole(1, 200),
        mode=one_of("hybrid", "vector", "text"),
        index=one_of("auto", "exact"),
        filter=FREE,
        min_score={"type": "number"},
    ),
    "tool": _step("tool", REFERENCE, with_=_WITH),
    "agent": _step(
        "agent",
        REFERENCE,
        "route",
        route=REFERENCE,
        with_=_WITH,
        tools=list_of(REFERENCE),
        agents=list_of(REFERENCE),
        max_turns=whole(1, 1_000),
        max_cost=MONEY,
        output=SCHEMA,
    ),
    "workflow": _step("workflow", REFERENCE, with_=_WITH, release=POSITIVE),
    "map": _step(
        "map",
        mapping(
            "over steps",
            over=EXPRESSION,
            as_=IDENTIFIER,
            max_parallel=whole(1, 1_000),
            on_item_error=one_of("fail", "continue"),
            steps=STEPS,
            output=ANY,
        ),
    ),
    "branch": _step("branch", list_of(CASE, least=1, most=100)),
    "loop": _step("loop", mapping("steps", until=EXPRESSION, max_turns=whole(1, 1_000), steps=STEPS)),
    "approval": _step("approval", _APPROVAL),
    "wait": _step("wait", mapping(for_=FILLED, until_time=FILLED, signal=SIGNAL, timeout=DURATION)),
    "memory": _step("memory", _MEMORY),
    "set": _step(
        "set", {"type": "object", "minProperties": 1, "x-expected": "a mapping of names to expressions"}
    ),
}
