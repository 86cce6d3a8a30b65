"""What to do after a call failed: call the same target again, fall back, or give up.

Pure: it decides and returns values. It reads no clock and draws no lots (both are passed in), calls nothing
and waits for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from providers.config import Retry, Route, Target
from providers.errors import ProviderError

# Worth the same call again: the next one may find the provider in a better state.
RETRIED = frozenset({"connect", "timeout", "server_error", "overloaded", "rate_limited"})
# One full re-issue and no more: a provider that breaks its answers off does so again.
REISSUED = frozenset({"stream_truncated", "malformed_body"})
# These end the whole call, whatever the route says.
FINAL = frozenset({"cancelled", "budget_exceeded", "deadline"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """`target` is an index into the targets that the call goes through."""

    action: Literal["retry", "fallback", "give_up"]
    wait_s: float = 0.0
    target: int = 0


GIVE_UP = Decision(action="give_up")


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """Where a call stands: which target failed, how often it was called, and the seconds left.

    `contexts` holds the context sizes of the targets, None where the document does not say.
    """

    target: int
    calls: int
    contexts: tuple[int | None, ...]
    left_s: float


def decide(error: ProviderError, *, route: Route, at: Situation, draw: float) -> Decision:
    """What follows this error; `draw` in [0, 1) is the lot for the jitter."""
    if error.error_class in FINAL or at.left_s <= 0:
        return GIVE_UP
    fallback = _fallback(error, route=route, at=at)
    wait_s = _wait_s(error, retry=route.retry, calls=at.calls, draw=draw)
    # A provider that asks for a long pause keeps a worker waiting only when nobody else can answer.
    patient = fallback is None or wait_s <= route.retry.max_s
    if at.calls < _calls_allowed(error.error_class, route.retry) and wait_s < at.left_s and patient:
        return Decision(action="retry", wait_s=wait_s, target=at.target)
    return GIVE_UP if fallback is None else Decision(action="fallback", target=fallback)


def order(targets: Sequence[Target], *, draw: float) -> tuple[Target, ...]:
    """The targets in the order to try them: as written; with weights, the first one is drawn by weight."""
    weights = [1.0 if target.weight is None else max(target.weight, 0.0) for target in targets]
    total = sum(weights)
    if total <= 0 or all(target.weight is None for target in targets):
        return tuple(targets)
    point = draw * total
    for index, weight in enumerate(weights):
        if point < weight:
            return (targets[index], *targets[:index], *targets[index + 1 :])
        point -= weight
    return tuple(targets)


def backoff_s(retry: Retry, *, calls: int, draw: float) -> float:
    """Seconds to wait after `calls` calls: full jitter.

    Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    return draw * min(retry.max_s, retry.first_s * 2.0 ** min(calls - 1, 60))


def _wait_s(error: ProviderError, *, retry: Retry, calls: int, draw: float) -> float:
    if error.retry_after_s is not None:
        return error.retry_after_s
    return backoff_s(retry, calls=calls, draw=draw)


def _calls_allowed(error_class: str, retry: Retry) -> int:
    if error_class in RETRIED:
        return retry.attempts
    return min(retry.attempts, 2) if error_class in REISSUED else 1


def _fallback(error: ProviderError, *, route: Route, at: Situation) -> int | None:
    """The next target that may do better, or None."""
    if error.error_class not in route.fallback_on and error.error_class != "breaker_open":
        return None
    later = range(at.target + 1, len(at.contexts))
    if error.error_class != "context_overflow":
        return next(iter(later), None)
    return next((index for index in later if _larger(at.contexts[index], at.contexts[at.target])), None)


def _larger(candidate: int | None, current: int | None) -> bool:
    return candidate is not None and (current is None or candidate > current)
