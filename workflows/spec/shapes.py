"""The JSON Schemas of documents, a workflow's steps excepted: which keys there are, what they hold (pure).

Without references, so that a message can look up what a key expects (`x-expected`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.errors import ERROR_CLASSES
from workflows.spec import durations
from workflows.spec.kinds import NAME_EXPECTED

Shape = dict[str, Any]

APIS = ("openai", "openai-responses", "anthropic", "google", "local", "scripted")
FAULTS = ("hang", "reset", "truncate", "malformed", "refusal", "content_filter", "length")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
TOOL_FORMS = ("http", "python", "mcp", "workflow")
MAX_STEPS = 1_000


def mapping(required: str = "", **properties: Any) -> Shape:
    """A mapping with exactly these keys; those named in `required`, split by spaces, must be there."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required.split(),
        "properties": {key.rstrip("_"): shape for key, shape in properties.items()},
    }


def matching(pattern: str, expected: str) -> Shape:
    return {"type": "string", "pattern": pattern, "x-expected": expected}


def whole(minimum: int, maximum: int) -> Shape:
    return {"type": "integer", "minimum": minimum, "maximum": maximum}


def list_of(items: Shape, *, least: int = 0, most: int = 1_000) -> Shape:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


def one_of(*options: str) -> Shape:
    return {"enum": list(options)}


TEXT: Shape = {"type": "string"}
FILLED: Shape = {"type": "string", "minLength": 1}
ANY: Shape = {}
FREE: Shape = {"type": "object"}
SCHEMA: Shape = {"type": ["object", "boolean"], "x-expected": "a JSON Schema"}
NAME = matching("^[a-z][a-z0-9-]{0,62}$", NAME_EXPECTED)
REFERENCE = matching(
    "^[a-z][a-z0-9-]{0,62}(@[1-9][0-9]{0,8})?$",
    "the name of a document, such as `triage`, or `triage@3` for one version of it",
)
IDENTIFIER = matching(
    "^[a-z][a-z0-9_]{0,62}$",
    "lower-case letters, digits and underscores, starting with a letter, 63 characters at the most",
)
MODEL = matching("^[a-z][a-z0-9-]{0,62}/.", "a model as PROVIDER/MODEL")
DURATION = matching(durations.PATTERN, durations.EXPECTED)
MONEY: Shape = {
    "anyOf": [
        {"type": "number", "minimum": 0},
        {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,12})?$"},
    ],
    "x-expected": "an amount in USD, as a number or as text such as '0.25'",
}
SHARE: Shape = {"type": "number", "minimum": 0, "maximum": 1}
POSITIVE = whole(1, 2_000_000_000)
CREDENTIAL = matching(
    "^(env:[A-Za-z_][A-Za-z0-9_]*|secret:[a-z][a-z0-9-]{0,62})$",
    "env:NAME (an environment variable) or secret:NAME (a stored secret)",
)
BASE_URL = matching("^https?://[^ ]+$", "an address that starts with http:// or https://")
TOOL_PYTHON = matching(r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$", "a function as package.module:function")
RETRY = mapping(attempts=whole(1, 100), first=DURATION, max_=DURATION)

_RULE = mapping(
    match=TEXT,
    reply=TEXT,
    latency=DURATION,
    times=whole(1, 1_000_000),
    fault=mapping(status=whole(100, 599), kind=one_of(*FAULTS)),
    tool_calls=list_of(mapping("name", name=FILLED, arguments=FREE), most=100),
)

PROVIDER = mapping(
    "kind name api",
    kind=ANY,
    name=ANY,
    api=one_of(*APIS),
    base_url=BASE_URL,
    credential=CREDENTIAL,
    limits=mapping(requests_per_minute=POSITIVE, tokens_per_minute=POSITIVE, concurrency=POSITIVE),
    models=list_of(
        mapping(
            "name",
            name=FILLED,
            context_tokens=POSITIVE,
            embeds=whole(1, 16_000),
            price=mapping(input=MONEY, cached_input=MONEY, output=MONEY),
        )
    ),
    rules=list_of(_RULE),
)

ROUTE = mapping(
    "kind name targets",
    kind=ANY,
    name=ANY,
    targets=list_of(ANY, least=1, most=50),  # each: MODEL or TARGET
    timeout=DURATION,
    deadline=DURATION,
    retry=RETRY,
    fallback_on=list_of(one_of(*ERROR_CLASSES)),
    hedge_after=DURATION,
    breaker=mapping(failures=SHARE, window=DURATION, minimum=POSITIVE, open_for=DURATION),
)

TARGET = mapping("model", model=MODEL, weight={"type": "number", "minimum": 0})
MESSAGE = mapping("role content", role=one_of("system", "user", "assistant"), content=TEXT)
INSERT = mapping("insert", insert=FILLED)

PROMPT = mapping(
    "kind name messages",
    kind=ANY,
    name=ANY,
    variables={"type": "object", "propertyNames": IDENTIFIER, "additionalProperties": SCHEMA},
    messages=list_of(ANY, least=1, most=200),  # each: MESSAGE or INSERT
    params=FREE,
    output=SCHEMA,
)

TOOL = mapping(
    "kind name",
    kind=ANY,
    name=ANY,
    description=TEXT,
    input=SCHEMA,
    output=SCHEMA,
    http=mapping(
        "method url",
        method=one_of(*METHODS),
        url=FILLED,
        headers={"type": "object", "additionalProperties": TEXT},
        body=ANY,
        credential=CREDENTIAL,
    ),
    python=TOOL_PYTHON,
    mcp=mapping(
        "server tool",
        server=mapping(
            url=BASE_URL,
            headers={"type": "object", "additionalProperties": TEXT},
            credential=CREDENTIAL,
            command=NAME,
        ),
        tool=FILLED,
    ),
    workflow=REFERENCE,
    effect=one_of("read", "idempotent", "once"),
    timeout=DURATION,
)

CORPUS = mapping(
    "kind name embedding",
    kind=ANY,
    name=ANY,
    embedding=MODEL,
    chunk=mapping(tokens=whole(16, 100_000), overlap=whole(0, 50_000)),
    sources=list_of(mapping(path=FILLED, url=FILLED)),
    publish=one_of("auto", "manual"),
)

WORKFLOW = mapping(
    "kind name steps",
    kind=ANY,
    name=ANY,
    input=SCHEMA,
    session=TEXT,
    concurrency=mapping("key limit", key=FILLED, limit=whole(1, 10_000)),
    deadline=DURATION,
    steps={"type": "array", "minItems": 1, "maxItems": MAX_STEPS},
    finally_={"type": "array", "minItems": 1, "maxItems": MAX_STEPS},
    output=ANY,
)

_LIMIT: Shape = {"type": "number", "minimum": 0}
ANALYSIS = mapping(
    "metrics",
    interval=DURATION,
    count=whole(1, 10_000),
    initial_delay=DURATION,
    metrics=list_of(
        mapping(
            "name",
            name=FILLED,
            max_=_LIMIT,
            min_=_LIMIT,
            max_increase=_LIMIT,
            max_ratio=_LIMIT,
            min_ratio=_LIMIT,
            dry_run={"type": "boolean"},
        ),
        least=1,
        most=20,
    ),
    minimum_runs=whole(2, 1_000_000),
    failure_limit=whole(0, 10_000),
    inconclusive_limit=whole(0, 10_000),
    on_fail=one_of("rollback", "pause"),
    inconclusive=one_of("pause", "rollback"),
)
# The forms of a rollout's step.
WEIGHT_STEP = mapping("weight", weight={"type": "number", "minimum": 0.01, "maximum": 100})
PAUSE_STEP = mapping("pause", pause=mapping(for_=DURATION))
ANALYSIS_STEP = mapping("analysis", analysis=IDENTIFIER)
SHADOW_STEP = mapping("shadow", shadow=FREE)
BACKTEST_STEP = mapping("backtest", backtest=FREE)
ROLLOUT_STEPS: Mapping[str, Shape] = {
    "weight": WEIGHT_STEP,
    "pause": PAUSE_STEP,
    "analysis": ANALYSIS_STEP,
    "shadow": SHADOW_STEP,
    "backtest": BACKTEST_STEP,
}
ANY_ROLLOUT_STEP: Shape = {
    "anyOf": [{"type": "object", "required": [kind]} for kind in ROLLOUT_STEPS],
    "x-expected": f"a step of a rollout: one of {', '.join(ROLLOUT_STEPS)}",
}

ENVIRONMENT = mapping(
    "kind name",
    kind=ANY,
    name=ANY,
    protected={"type": "boolean"},
    variables={"type": "object", "propertyNames": IDENTIFIER},
    budget=FREE,
    rollout=mapping(
        "steps",
        sticky=FILLED,
        steps=list_of(ANY, least=1, most=50),  # each: one of ROLLOUT_STEPS
        analyses={"type": "object", "propertyNames": IDENTIFIER, "additionalProperties": ANALYSIS},
        progress_deadline=DURATION,
    ),
)

SCHEDULE = mapping(
    "kind name workflow cron",
    kind=ANY,
    name=ANY,
    workflow=NAME,
    environment=NAME,
    cron=FILLED,
    timezone=FILLED,
    input=ANY,
    overlap=one_of("skip", "queue", "cancel-running"),
    catch_up=DURATION,
)

WEBHOOK = mapping(
    "kind name url secret events",
    kind=ANY,
    name=ANY,
    url=matching("^https?://[^ ]+$", "an address that starts with http:// or https://"),
    secret=CREDENTIAL,
    events=list_of(
        matching(
            r"^(\*|[a-z_]+(\.[a-z_]+)*(\.\*)?)$",
            "the type of an event such as run.failed, all of a family such as run.*, or * for every event",
        ),
        least=1,
        most=100,
    ),
)

DOCUMENTS: Mapping[str, Shape] = {
    "Provider": PROVIDER,
    "Route": ROUTE,
    "Prompt": PROMPT,
    "Tool": TOOL,
    "Corpus": CORPUS,
    "Workflow": WORKFLOW,
    "Environment": ENVIRONMENT,
    "Schedule": SCHEDULE,
    "Webhook": WEBHOOK,
}
