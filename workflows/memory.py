"""Memory as people and programs see it: read, history, change, restore, forget. Permission was checked above."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction

from workflows import audit, payloads, remembering
from workflows.actor import Actor
from workflows.errors import Conflict, Invalid, UnknownObject
from workflows.models import Environment, Lineage, Memory, MemoryVersion
from workflows.payloads import clean_text
from workflows.remembering import Place, Seen, Writer

Json = Any
MAX_VALUE_BYTES: Final = 1024 * 1024
MAX_KEY: Final = 500
_SCOPES: Final = ("workflow:", "session:")


@dataclass(frozen=True)
class Touched:
    """The runs that read or wrote something, the newest first; `count` of them in all."""

    count: int
    runs: tuple[str, ...]


def place(environment: str, scope: str, key: str) -> Place:
    """Check where something is remembered. Raises: Invalid, UnknownObject."""
    named = scope == "global" or any(scope.startswith(each) and len(scope) > len(each) for each in _SCOPES)
    if not named or "\x00" in scope + key or not 1 <= len(key) <= MAX_KEY or len(scope) > MAX_KEY:
        raise Invalid(
            "A scope is `global`, `workflow:NAME` or `session:ID`, and a key has 1 to 500 characters.",
            code="memory_place_invalid",
        )
    if "\x00" in environment or not Environment.objects.filter(pk=environment).exists():
        raise UnknownObject(
            f"There is no environment {clean_text(environment, limit=80)}.", code="unknown_environment"
        )
    return Place(environment=environment, scope=scope, key=key)


def get(at: Place) -> Seen:
    """Return the newest value. Raises: UnknownObject where nothing was ever remembered."""
    found = _row(at)
    if found is None or found.head == 0:
        raise UnknownObject(f"Nothing is remembered under {at}.", code="unknown_memory")
    return remembering.read(at)


def history(at: Place) -> tuple[MemoryVersion, ...]:
    """Return the versions, the newest first. Raises: UnknownObject."""
    found = _row(at)
    if found is None or found.head == 0:
        raise UnknownObject(f"Nothing is remembered under {at}.", code="unknown_memory")
    return tuple(found.versions.order_by("-number")[:500])


def value_at(at: Place, number: int) -> Json:
    """Return the value that a version came to. Raises: UnknownObject."""
    found = _row(at)
    versions = list(found.versions.filter(number__lte=number).order_by("-number")) if found else []
    if not versions or versions[0].number != number:
        raise UnknownObject(f"{at} has no version {number}.", code="unknown_memory")
    entries = []
    for each in versions:
        key = None if each.value_hash is None else bytes(each.value_hash).hex()
        entries.append([each.number, each.operation, key])
        if each.operation != "append":
            break
    return remembering.put_together(entries[::-1])


def put(
    at: Place,
    value: Json,
    *,
    expected: int | None,
    actor: Actor,
    expires_s: float | None = None,
    reason: str = "",
) -> int:
    """Write a new version on top of `expected`; None: whatever is there.

    Raises:
        Conflict: somebody wrote in between; the message names the version that is there now.
        Invalid: the value is too large.
    """
    size = len(payloads.canonical(value))
    if size > MAX_VALUE_BYTES:
        raise Invalid(
            f"The value has {size:,} bytes; {MAX_VALUE_BYTES:,} are allowed.", code="input_too_large"
        )
    by = Writer(actor=str(actor))
    with transaction.atomic():
        number = remembering.change(
            at, "write", value, by=by, expected=expected, expires_s=expires_s, reason=reason
        )
        if number is not None:
            audit.record(actor, "memory.write", "memory", str(at), reason=reason, data={"version": number})
    if number is None:
        raise Conflict(
            f"{at} is at version {remembering.read(at).head} by now, not at {expected}; read it again.",
            code="memory_changed",
        )
    return number


def restore(at: Place, number: int, *, actor: Actor) -> int:
    """Make an older version's value the newest one. Raises: UnknownObject."""
    value = value_at(at, number)
    return put(at, value, expected=None, actor=actor, reason=f"as in version {number}")


def touched(at: Place) -> Touched:
    """Return which runs read or wrote a key: what forgetting it touches."""
    numbers = MemoryVersion.objects.filter(
        memory__environment_id=at.environment, memory__scope=at.scope, memory__key=at.key
    ).values_list("number", flat=True)
    found = Lineage.objects.filter(kind="memory", ref__in=[f"{at}@{number}" for number in (0, *numbers)])
    runs = found.order_by("-run_id").values_list("run_id", flat=True)
    return Touched(found.values("run_id").distinct().count(), tuple(dict.fromkeys(runs[:200])))


def forget(at: Place, *, actor: Actor, reason: str) -> Touched:
    """Take every value of a key away for good; what stays is that, when, by whom and why it was forgotten.

    Runs keep what their own records hold: their steps' inputs and outputs are retained as those are.

    Raises:
        UnknownObject: nothing is remembered there.
        Invalid: no reason was given.
    """
    why = clean_text(reason, limit=1000).strip()
    if not why:
        raise Invalid("A reason is needed; it stays in place of what is forgotten.", code="reason_missing")
    get(at)
    with transaction.atomic():
        remembering.change(at, "forget", None, by=Writer(actor=str(actor)), expected=None, reason=why)
        found = Memory.objects.get(environment_id=at.environment, scope=at.scope, key=at.key)
        found.versions.exclude(operation="forget").update(value_hash=None, operation="forget")
        who = touched(at)
        audit.record(actor, "memory.forget", "memory", str(at), reason=why, data={"runs": who.count})
    return who


def _row(at: Place) -> Memory | None:
    return Memory.objects.filter(environment_id=at.environment, scope=at.scope, key=at.key).first()
