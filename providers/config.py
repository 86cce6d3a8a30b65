"""What a provider and a route are, as values built from their documents.

Pure: no Django, no I/O, no clock. It trusts that the documents were validated and fills in their defaults.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from providers.errors import ProviderError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

# What a route falls back on when its document does not say. Refusals and content filters are a policy
# decision, so they lead to another target only where the document names them.
DEFAULT_FALLBACK_ON = frozenset(
    {
        "connect",
        "timeout",
        "server_error",
        "overloaded",
        "rate_limited",
        "quota_exhausted",
        "auth",
        "permission",
        "missing_credential",
        "context_overflow",
        "stream_truncated",
        "malformed_body",
        "schema_invalid",
        "breaker_open",
    }
)


def seconds(duration: str | float) -> float:
    """Turn `500ms`, `30s`, `10m`, `2h`, `7d` (or a number of seconds) into seconds.

    Raises: ValueError.
    """
    if isinstance(duration, int | float):
        return float(duration)
    match = _DURATION.fullmatch(duration.strip())
    if match is None:
        raise ValueError(f"{duration!r} is not a duration: write 500ms, 30s, 10m, 2h or 7d.")
    return float(match[1]) * _UNIT_S[match[2]]


def _optional_seconds(duration: str | float | None) -> float | None:
    return None if duration is None else seconds(duration)


def _amount(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """USD per 1,000,000 tokens; None is unknown, which is not 0."""

    input: Decimal | None = None
    cached_input: Decimal | None = None
    output: Decimal | None = None

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Price:
        return cls(
            input=_amount(body.get("input")),
            cached_input=_amount(body.get("cached_input")),
            output=_amount(body.get("output")),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """One model of a provider; `embeds` is the number of dimensions of its vectors."""

    name: str
    context_tokens: int | None = None
    embeds: int | None = None
    price: Price | None = None

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Model:
        price = body.get("price")
        return cls(
            name=body["name"],
            context_tokens=body.get("context_tokens"),
            embeds=body.get("embeds"),
            price=None if price is None else Price.from_document(price),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one credential may use; None is without limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One answer of a `scripted` provider."""

    match: str
    reply: str | None = None
    latency_s: float = 0.0
    fault: Mapping[str, Any] | None = None
    times: int | None = None
    tool_calls: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Rule:
        return cls(
            match=body.get("match", ""),
            reply=body.get("reply"),
            latency_s=seconds(body.get("latency", 0)),
            fault=body.get("fault"),
            times=body.get("times"),
            tool_calls=tuple(body.get("tool_calls", ())),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Provider:
    """A provider document at one version."""

    name: str
    api: str
    base_url: str | None = None
    credential: str | None = None
    limits: Limits = Limits()
    models: tuple[Model, ...] = ()
    rules: tuple[Rule, ...] = ()
    version: int = 0

    @classmethod
    def from_document(cls, body: Mapping[str, Any], version: int = 0) -> Provider:
        return cls(
            name=body["name"],
            api=body["api"],
            base_url=body.get("base_url"),
            credential=body.get("credential"),
            limits=Limits(**(body.get("limits") or {})),
            models=tuple(Model.from_document(model) for model in body.get("models") or ()),
            rules=tuple(Rule.from_document(rule) for rule in body.get("rules") or ()),
            version=version,
        )

    def model(self, name: str) -> Model:
        """Find a model by its name. Raises: ProviderError(unknown_model)."""
        for model in self.models:
            if model.name == name:
                return model
        known = ", ".join(model.name for model in self.models) or "none"
        raise ProviderError(
            f"Provider {self.name} has no model {name!r}; its document lists: {known}.",
            error_class="unknown_model",
            provider=self.name,
            model=name,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """One model that a route may call."""

    provider: str
    model: str
    weight: float | None = None

    @classmethod
    def parse(cls, text: str, weight: float | None = None) -> Target:
        """Split `provider/model` at the first slash. Raises: ProviderError(unknown_model)."""
        provider, slash, model = text.partition("/")
        if not (provider and slash and model):
            raise ProviderError(
                f"{text!r} names no model: write provider/model.", error_class="unknown_model", model=text
            )
        return cls(provider=provider, model=model, weight=weight)

    @classmethod
    def from_document(cls, body: str | Mapping[str, Any]) -> Target:
        if isinstance(body, str):
            return cls.parse(body)
        return cls.parse(body["model"], body.get("weight"))

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """`attempts` counts the calls per target in all, the first one included."""

    attempts: int = 3
    first_s: float = 0.5
    max_s: float = 8.0

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Retry:
        return cls(
            attempts=body.get("attempts", 3),
            first_s=seconds(body.get("first", 0.5)),
            max_s=seconds(body.get("max", 8)),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Breaker:
    """Open after a share of `failures` among at least `minimum` calls within the window."""

    failures: float = 0.5
    window_s: float = 60.0
    minimum: int = 10
    open_for_s: float = 30.0

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Breaker:
        return cls(
            failures=body.get("failures", 0.5),
            window_s=seconds(body.get("window", 60)),
            minimum=body.get("minimum", 10),
            open_for_s=seconds(body.get("open_for", 30)),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """Targets in order of preference, with the rules for what happens when one fails."""

    name: str
    targets: tuple[Target, ...]
    timeout_s: float = 30.0
    deadline_s: float = 120.0
    retry: Retry = Retry()
    fallback_on: frozenset[str] = DEFAULT_FALLBACK_ON
    hedge_after_s: float | None = None
    breaker: Breaker | None = None

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Route:
        breaker = body.get("breaker")
        return cls(
            name=body["name"],
            targets=tuple(Target.from_document(target) for target in body["targets"]),
            timeout_s=seconds(body.get("timeout", 30)),
            deadline_s=seconds(body.get("deadline", 120)),
            retry=Retry.from_document(body.get("retry") or {}),
            fallback_on=_fallback_on(body.get("fallback_on")),
            hedge_after_s=_optional_seconds(body.get("hedge_after")),
            breaker=None if breaker is None else Breaker.from_document(breaker),
        )

    def after(self, provider: str, model: str) -> Route | None:
        """The same route with only the targets behind this one; None when there are none.

        For a caller that judged a response itself (`schema_invalid`) and falls back.
        """
        names = [(target.provider, target.model) for target in self.targets]
        if (provider, model) not in names:
            return None
        rest = self.targets[names.index((provider, model)) + 1 :]
        return replace(self, targets=rest) if rest else None


def _fallback_on(classes: Sequence[str] | None) -> frozenset[str]:
    return DEFAULT_FALLBACK_ON if classes is None else frozenset(classes)


# Embedders that run in this process: there without a document.
LOCAL = Provider(
    name="local",
    api="local",
    models=(Model(name="wordllama", embeds=256), Model(name="minilm-l6", embeds=384, context_tokens=512)),
)
