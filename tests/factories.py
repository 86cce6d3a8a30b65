"""Realistic rows for tests of what reads them: definitions, runs with steps, attempts, calls and payloads.

They are written through the real models, in the shapes that the engine writes; nothing runs. Tests of the
engine itself start runs with `workflows.runs.start` instead.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.utils import timezone

from console.models import Role, User
from workflows import payloads
from workflows.models import (
    Attempt,
    Call,
    Definition,
    DefinitionVersion,
    Deployment,
    Environment,
    JournalEvent,
    Payload,
    Release,
    Run,
    StepRun,
    Worker,
)

Json = Any
_NO_ANSWER = {"class": "timeout", "message": "No answer for 30 s", "step": "answer"}
ASSISTANT: dict[str, Json] = {
    "kind": "Workflow",
    "name": "docs-assistant",
    "input": {
        "type": "object",
        "required": ["question"],
        "properties": {
            "question": {"type": "string", "title": "Question", "minLength": 3},
            "audience": {"enum": ["beginner", "expert"], "default": "beginner"},
            "sources": {"type": "integer", "minimum": 1, "maximum": 8, "default": 3},
            "notify": {"type": "boolean", "description": "Tell the channel about the answer."},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
    },
    "steps": [
        {
            "id": "classify",
            "prompt": "classify",
            "route": "chat",
            "with": {"question": "{{ input.question }}"},
        },
        {"id": "search", "retrieve": "python-reference", "query": "{{ input.question }}", "top_k": 3},
        {
            "id": "answer",
            "prompt": "answer",
            "route": "chat",
            "with": {"docs": "{{ steps.search.output.chunks }}"},
        },
        {"id": "sources", "set": {"names": "{{ steps.search.output.chunks }}"}},
        {
            "id": "route",
            "branch": [{"when": "input.notify", "steps": [{"id": "notify", "tool": "notify-channel"}]}],
        },
    ],
    "output": {"answer": "{{ steps.answer.output.text }}"},
}
DIGEST: dict[str, Json] = {
    "kind": "Workflow",
    "name": "question-digest",
    "input": {"type": "object", "properties": {"questions": {"type": "array"}}},
    "steps": [
        {
            "id": "each",
            "map": {
                "over": "input.questions",
                "as": "question",
                "steps": [
                    {"id": "lookup", "retrieve": "python-reference", "query": "{{ question }}"},
                    {"id": "reply", "prompt": "answer", "route": "chat"},
                ],
            },
        }
    ],
}
PROMPTS = {
    "classify": [
        {"role": "system", "content": "You sort questions about Python."},
        {"role": "user", "content": "{{ question }}"},
    ],
    "answer": [
        {"role": "system", "content": "Answer in two sentences. Use only the passages given."},
        {"role": "user", "content": "{{ question }}\n\n{{ docs }}"},
    ],
}


PASSWORD = "a long password"


def user(role: str = Role.OPERATOR, name: str = "", password: str | None = None) -> User:
    """A person; without a password (hashing one takes a while) only `force_login` lets them in."""
    return User.objects.create_user(name or f"{role}-person", password=password, role=role)


def definition(kind: str, name: str, *bodies: Mapping[str, Json]) -> Definition:
    """A definition with one version for each body."""
    made = Definition.objects.create(kind=kind, name=name, latest_version=len(bodies))
    for number, body in enumerate(bodies, 1):
        DefinitionVersion.objects.create(
            definition=made,
            version=number,
            content_hash=payloads.digest(body).hex(),
            body=body,
            created_by="marta",
        )
    return made


def release(body: Mapping[str, Json] = ASSISTANT, *, number: int = 1) -> Release:
    """A released and deployed workflow with its prompts."""
    name = body["name"]
    if not Definition.objects.filter(kind="Workflow", name=name).exists():
        definition("Workflow", name, body)
    made = Release.objects.create(
        workflow=name,
        number=number,
        content_hash=uuid.uuid4().hex,
        manifest={"workflow": [name, 1], "prompts": dict.fromkeys(PROMPTS, 1), "routes": {"chat": 1}},
        created_by="marta",
    )
    environment, _ = Environment.objects.get_or_create(name="production")
    Deployment.objects.update_or_create(
        workflow=name,
        environment=environment,
        defaults={"stable": made, "deployed_at": timezone.now(), "deployed_by": "marta"},
    )
    return made


def prompts() -> None:
    for name, messages in PROMPTS.items():
        body = {"kind": "Prompt", "name": name, "messages": messages, "params": {"temperature": 0}}
        definition("Prompt", name, {**body, "params": {"temperature": 1}}, body)


def payload(value: Json) -> bytes:
    """Store a value; return its hash."""
    body = payloads.canonical(value)
    key = payloads.digest(value)
    Payload.objects.get_or_create(hash=key, defaults={"size": len(body), "compressed": False, "body": body})
    return key


@dataclass
class RunMaker:
    """A run whose steps are added one after the other, in seconds since it was created."""

    run: Run
    ordinal: int = 0
    event: int = 0
    steps: dict[str, StepRun] = field(default_factory=dict)

    def at(self, second: float) -> datetime:
        return self.run.created_at + timedelta(seconds=second)

    def journal(self, kind: str, second: float, *, step: StepRun | None = None, **data: Json) -> None:
        self.event += 1
        JournalEvent.objects.create(
            run=self.run,
            type=kind,
            at=self.at(second),
            step=step.path if step else None,
            epoch=step.epoch if step else None,
            attempt=step.attempts_made if step else None,
            n=self.event,
            data=data,
        )

    def step(
        self,
        path: str,
        kind: str,
        state: str = "succeeded",
        *,
        tries: Sequence[tuple[float, float, str]] = (),
        parent: str = "",
        item: int | None = None,
        reason: str = "",
        asked: Json = None,
        gave: Json = None,
        error: Mapping[str, str] | None = None,
        cost: str | None = None,
        tokens: Mapping[str, int] | None = None,
        epoch: int = 1,
        superseded: bool = False,
    ) -> StepRun:
        """Add a step run; `tries` are its attempts as (start, end, state), in seconds."""
        self.ordinal += 1
        running = state == "running"
        ended = state in {"succeeded", "failed", "skipped", "cancelled"} and bool(tries)
        made = StepRun.objects.create(
            run=self.run,
            path=path,
            step_id=path.rsplit("/", 1)[-1].partition("[")[0],
            kind=kind,
            epoch=epoch,
            superseded=superseded,
            ordinal=self.ordinal,
            parent=self.steps.get(parent),
            item=item,
            state=state,
            reason=reason,
            lease=uuid.uuid4() if running else None,
            lease_until=timezone.now() + timedelta(seconds=30) if running else None,
            attempts_made=len(tries),
            failures=sum(outcome == "failed" for _, _, outcome in tries),
            losses=sum(outcome == "lost" for _, _, outcome in tries),
            events=1,
            input_hash=payload(asked) if asked is not None else None,
            output_hash=payload(gave) if gave is not None else None,
            error=error,
            started_at=self.at(tries[0][0]) if tries else None,
            ended_at=self.at(tries[-1][1]) if ended else None,
            wake_at=timezone.now() + timedelta(seconds=8) if reason == "retry" else None,
            cost_usd=Decimal(cost) if cost else None,
            tokens=tokens,
        )
        self.steps[path] = made
        for number, (start, end, outcome) in enumerate(tries, 1):
            self._attempt(made, number, start, end, outcome, error)
        return made

    def _attempt(
        self,
        step: StepRun,
        number: int,
        start: float,
        end: float,
        outcome: str,
        error: Mapping[str, str] | None,
    ) -> None:
        told = {"class": "server_error", "message": "503 upstream connect timeout"}
        Attempt.objects.create(
            step_run=step,
            run=self.run,
            number=number,
            state=outcome,
            worker="host-1:4711:ab12",
            lease=uuid.uuid4(),
            started_at=self.at(start),
            ended_at=None if outcome == "running" else self.at(end),
            error=(error or told) if outcome == "failed" else None,
        )
        step.attempts_made = number
        kind = {"running": "started", "failed": "retrying"}.get(outcome, outcome)
        self.journal(
            f"step.{kind}", end, step=step, **({"error": error or told} if outcome == "failed" else {})
        )

    def call(
        self, step: StepRun, *, second: float, attempt: int = 1, number: int = 0, **values: Json
    ) -> Call:
        """Add a provider call; `error` makes it a failed one, `state="sending"` one that never answered."""
        body = {"model": "smollm2-135m", "messages": values.pop("messages", []), "temperature": 0}
        request = {"method": "POST", "url": "http://127.0.0.1:8081/v1/chat/completions", "body": body}
        response = {"status": 200, "body": {"choices": [{"message": {"content": "Define __iter__."}}]}}
        failed = "error" in values or values.get("state") == "sending"
        known: dict[str, Json] = {
            "state": "done",
            "finish_reason": "" if failed else "stop",
            "usage": None if failed else {"input": 410, "cached": 120, "output": 58, "source": "provider"},
            "cost_usd": None if failed else Decimal("0.000214"),
            "timing_ms": {"queue": 12, "first_token": 310, "total": 1480},
            **values,
        }
        return Call.objects.create(
            run=self.run,
            step_run=step,
            attempt=attempt,
            number=number,
            provider="local-llm",
            provider_version=1,
            model_requested="smollm2-135m",
            model_returned="" if failed else "smollm2-135m-instruct",
            request_hash=payload(request),
            response_hash=None if failed else payload(response),
            started_at=self.at(second),
            ended_at=None if known["state"] == "sending" else self.at(second + 1.48),
            **known,
        )


def run(
    state: str = "succeeded",
    *,
    of: Release | None = None,
    title: str = "",
    asked: Json = None,
    gave: Json = None,
    ago_s: float = 60,
    lasted_s: float = 4,
    error: Mapping[str, str] | None = None,
    cost: str | None = "0.000428",
    number: int | None = None,
    **values: Json,
) -> RunMaker:
    """A run without steps yet, created `ago_s` seconds ago."""
    made = of or Release.objects.filter(workflow="docs-assistant").first() or release()
    created = timezone.now() - timedelta(seconds=ago_s)
    ended = state in {"succeeded", "failed", "cancelled"}
    row = Run.objects.create(
        id=f"r_{number:013d}" if number is not None else f"r_{uuid.uuid4().hex[:13]}",
        workflow=made.workflow,
        environment_id="production",
        release=made,
        state=state,
        title=title,
        trigger="console",
        created_by="marta",
        pins={"python-reference": 3},
        input_hash=payload(asked if asked is not None else {"question": "How do I make a class iterable?"}),
        output_hash=payload(gave) if gave is not None else None,
        error=error,
        created_at=created,
        started_at=None if state == "queued" else created + timedelta(milliseconds=40),
        ended_at=created + timedelta(seconds=lasted_s) if ended else None,
        cost_usd=Decimal(cost) if ended and cost else None,
        tokens={"input": 820, "cached": 240, "output": 116, "reasoning": 0} if ended else None,
        **values,
    )
    maker = RunMaker(row)
    maker.journal("run.created", 0, by="marta")
    return maker


def many_runs(count: int, *, states: Sequence[str] = ("succeeded",), over_s: float = 80_000) -> None:
    """A lot of finished and failed runs, made in bulk, spread evenly over the time up to now."""
    of = Release.objects.filter(workflow="docs-assistant").first() or release()
    key, now = payload({"question": "How do I make a class iterable?"}), timezone.now()
    rows = []
    for number, state in enumerate(states[:count]):
        created = now - timedelta(seconds=1 + number * over_s / count)
        open_still = state in {"queued", "running", "waiting"}
        rows.append(
            Run(
                id=f"r_m{number:012x}",
                workflow=of.workflow,
                environment_id="production",
                release=of,
                state=state,
                title=f"Question {number:05d}",
                trigger="api",
                created_by="token:load",
                input_hash=key,
                created_at=created,
                started_at=None if state == "queued" else created,
                ended_at=None if open_still else created + timedelta(seconds=1 + number % 40),
                error=_NO_ANSWER if state == "failed" else None,
                cost_usd=None if open_still else Decimal("0.0011"),
                tokens=None if open_still else {"input": 500, "cached": 0, "output": 90, "reasoning": 0},
            )
        )
    Run.objects.bulk_create(rows)
    _repeat_runs(count, of=len(states), now=now, over_s=over_s)


def _repeat_runs(count: int, *, of: int, now: datetime, over_s: float) -> None:
    """Repeat the first `of` runs until there are `count`, in the database: Python takes seconds for that."""
    created = "%(now)s - make_interval(secs => 1 + n * %(over_s)s::float8 / %(count)s)"
    own = {
        "id": "'r_m' || lpad(to_hex(n), 12, '0')",
        "title": "'Question ' || lpad(n::text, 5, '0')",
        "created_at": created,
        "started_at": f"CASE WHEN started_at IS NOT NULL THEN {created} END",
        "ended_at": f"CASE WHEN ended_at IS NOT NULL THEN {created} + make_interval(secs => 1 + n %% 40) END",
    }
    columns = [field.column for field in Run._meta.concrete_fields if field.column]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO workflows_run ({', '.join(columns)}) "  # noqa: S608  names of our own
            f"SELECT {', '.join(own.get(name, name) for name in columns)} "
            "FROM generate_series(%(of)s, %(count)s - 1) n "
            "JOIN workflows_run ON id = 'r_m' || lpad(to_hex(n %% %(of)s), 12, '0') ORDER BY n",
            {"count": count, "of": of, "now": now, "over_s": over_s},
        )
        cursor.execute("ANALYZE workflows_run")  # as Postgres does by itself after so many rows


def worker() -> Worker:
    """A worker that is alive."""
    return Worker.objects.create(
        id=f"host-1:4711:{uuid.uuid4().hex[:4]}", host="host-1", pid=4711, threads=32
    )
