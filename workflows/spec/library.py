"""All documents that a reference may mean: those of the batch first, then those that are saved (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from providers.config import LOCAL
from workflows.spec import near
from workflows.spec.documents import Document

_BUILT_IN: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("Provider", LOCAL.name): {
        "models": [{"name": model.name, "embeds": model.embeds} for model in LOCAL.models],
    }
}


@dataclass(frozen=True)
class Catalog:
    """What is saved: the latest version of every name of every kind, and (where known) its latest body."""

    names: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    bodies: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)


class Library:
    """Looks up documents by kind and name."""

    def __init__(self, documents: Iterable[Document], catalog: Catalog) -> None:
        self._batch = {(document.kind, document.name): document.body for document in documents}
        self._catalog = catalog

    def body(self, kind: str, name: str) -> Mapping[str, Any] | None:
        """The body that the name will mean after the batch; None if it is not there or not known."""
        key = (kind, name)
        return self._batch.get(key) or self._catalog.bodies.get(key) or _BUILT_IN.get(key)

    def problem(self, kind: str, reference: str) -> str | None:
        """Why a reference such as `triage` or `triage@3` cannot be resolved; None if it can."""
        name, _, pin = reference.partition("@")
        latest = self._catalog.names.get(kind, {}).get(name, 0)
        if not latest and (kind, name) not in self._batch and (kind, name) not in _BUILT_IN:
            return f"there is no {kind} {name!r}{self._near(kind, name)}"
        if pin and int(pin) > max(latest, 1):
            return f"{kind} {name!r} has no version {pin}; its latest is {max(latest, 1)}"
        return None

    def model_problem(self, reference: str, *, embeds: bool) -> str | None:
        """Why `PROVIDER/MODEL` cannot be used for chat, or for embeddings; None if it can."""
        provider, _, name = reference.partition("/")
        problem = self.problem("Provider", provider)
        body = self.body("Provider", provider)
        if problem or body is None:
            return problem
        models = {model["name"]: model for model in _models(body)}
        if name not in models:
            listed = ", ".join(models) or "none"
            return f"the Provider {provider!r} has no model {name!r}; it has: {listed}"
        if embeds and "embeds" not in models[name]:
            return f"the model {reference!r} makes no embeddings; its Provider gives it no `embeds`"
        if not embeds and "embeds" in models[name]:
            return f"the model {reference!r} makes embeddings; a Route needs a model that answers"
        return None

    def _near(self, kind: str, name: str) -> str:
        known = {other for known_kind, other in self._batch if known_kind == kind}
        known.update(self._catalog.names.get(kind, ()))
        return near.meant(name, known)


def _models(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    models = body.get("models")
    found = models if isinstance(models, list) else []
    return [model for model in found if isinstance(model, dict) and isinstance(model.get("name"), str)]
