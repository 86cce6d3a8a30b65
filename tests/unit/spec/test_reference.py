"""The page on the definition language is what the shapes, their meanings and the examples say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import yaml

from providers.config import Provider, Route
from tests.documentation import ROOT
from workflows import catching_up, definitions, firing
from workflows.spec import meanings, reference, rollouts, workflow
from workflows.tools.config import Tool

EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.yaml") if ".expected" not in path.name)


def test_the_page_on_the_language_is_generated() -> None:
    examples = {path.stem: path.read_text() for path in EXAMPLES}
    page = (ROOT / "docs" / "language.md").read_text()
    assert page == reference.as_markdown(examples), "run `make docs`"


def test_every_key_has_a_meaning_and_no_meaning_is_left_over() -> None:
    assert set(reference.keys()) == set(meanings.MEANINGS), "see workflows/spec/meanings.py"
    assert set(meanings.DEFAULTS) <= set(meanings.MEANINGS)


def _plan(body: Any) -> rollouts.Plan:
    return rollouts.parse(body["rollout"])


# The least that a document needs, by the beginning of the names of its keys, and what reads it.
LEAST: Mapping[str, tuple[Callable[[Any], Any], Any]] = {
    "Provider.rules[]": (Provider.from_document, {"name": "p", "api": "scripted", "rules": [{"reply": "x"}]}),
    "Route.retry": (Route.from_document, {"name": "r", "targets": ["a/b"], "retry": {}}),
    "Route.breaker": (Route.from_document, {"name": "r", "targets": ["a/b"], "breaker": {}}),
    "Route": (Route.from_document, {"name": "r", "targets": ["a/b"]}),
    "Environment.rollout.analyses.NAME.metrics[]": (
        _plan,
        {"rollout": {"steps": [], "analyses": {"NAME": {"metrics": [{"name": "failure_rate", "max": 1}]}}}},
    ),
    "Environment.rollout.analyses.NAME": (
        _plan,
        {"rollout": {"steps": [], "analyses": {"NAME": {"metrics": []}}}},
    ),
    "Environment.rollout": (_plan, {"rollout": {"steps": []}}),
    "Tool": (Tool.from_document, {"name": "t", "python": "a:b"}),
}
STEPS: Mapping[str, Any] = {
    "prompt": {"prompt": "p", "route": "r"},
    "retrieve": {"retrieve": "c", "query": "q"},
    "agent": {"agent": "p", "route": "r"},
    "map": {"map": {"over": "input.xs", "steps": [{"id": "b", "set": {"v": 1}}]}},
    "loop": {"loop": {"steps": [{"id": "b", "set": {"v": 1}}]}},
    "approval": {"approval": {"title": "t"}},
    "memory": {},
    "retry": {"set": {"v": 1}, "retry": {}},
    "on_error": {"set": {"v": 1}},
}
# Defaults that code above the language fills in.
ELSEWHERE = {
    "Schedule.environment": firing.environment_of({}),
    "Schedule.timezone": firing.zone_of({}),
    "Schedule.overlap": "skip",
    "Schedule.catch_up": f"{catching_up.DEFAULT.total_seconds() / 60:g}m",
    "Corpus.chunk.tokens": str(definitions.CHUNK_TOKENS),
    "Corpus.chunk.overlap": str(definitions.CHUNK_OVERLAP),
    "Corpus.publish": "auto",
}


@pytest.mark.parametrize("name", sorted(meanings.DEFAULTS))
def test_a_default_changes_nothing_where_it_is_written_out(name: str) -> None:
    if name in ELSEWHERE:
        assert meanings.DEFAULTS[name] == ELSEWHERE[name]
        return
    read, least, keys = found(name)
    assert read(least) == read(written(least, keys, yaml.safe_load(meanings.DEFAULTS[name])))


def found(name: str) -> tuple[Callable[[Any], Any], Any, list[str]]:
    """Return what reads the document of a key, the least of one, and the keys that lead there."""
    if name.startswith("step."):
        _, kind, *keys = name.split(".")
        least = {"name": "w", "steps": [{"id": "a", **STEPS[kind]}]}
        if kind == "memory":
            least["steps"] = [{"id": "a", "memory": {keys[1]: {"scope": "global", "key": "k"}}}]
        return workflow.parse, least, ["steps", "0", *(keys if keys and kind != "retry" else [kind, *keys])]
    start = next(each for each in LEAST if name.startswith(f"{each}."))
    keys = name.replace("[]", ".0").split(".")[1:]
    return *LEAST[start], keys


def written(value: Any, keys: list[str], default: Any) -> Any:
    """Return a document with one more key in it."""
    key, *rest = keys
    inner = default
    if rest:
        inner = written(value[int(key)] if isinstance(value, list) else value[key], rest, default)
    if isinstance(value, list):
        return [inner if n == int(key) else each for n, each in enumerate(value)]
    assert rest or key not in value
    return {**value, key: inner}
