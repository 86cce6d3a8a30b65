"""Who used a piece of state, over the API and in the console."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests import engine
from tests.db.engine.test_forks import OTHERS
from tests.db.quarantine.test_quarantine import CALLS, READS, WRITES, impose, looks
from tests.db.retrieval import fixtures
from tests.web.api.conftest import Api, assert_problem, make_token
from workflows.engine import bundle
from workflows.models import Call, Run


@pytest.fixture
def api() -> Api:
    return Api(make_token("viewer"))


@pytest.fixture
def wrote(transactional_db: None) -> Run:
    bundle.forget_providers()
    return engine.run(engine.deploy(WRITES, others=OTHERS), of="ann")


@pytest.fixture
def searched(transactional_db: None) -> Run:
    """A run that was given passages of two documents; the corpus has a third by now."""
    bundle.forget_providers()
    found = engine.run(looks())
    fixtures.publish("handbook", {"tea.md": "Tea is free."})
    return found


def used(api: Api, kind: str, name: str, **more: Any) -> Any:
    found = api.get("/lineage", kind=kind, name=name, **more)
    assert found.status_code == 200, found.content
    return found.json()


def test_a_prompt_leads_to_its_runs_and_to_what_they_remembered(wrote: Run, api: Api) -> None:
    found = used(api, "prompt", "greet@1")
    assert found["piece"] == {
        "kind": "prompt",
        "name": "greet@1",
        "since": None,
        "until": None,
        "quarantines": [],
    }
    assert (found["uses"]["runs"], found["uses"]["steps"], found["uses"]["more"]) == (1, 1, False)
    (user,) = found["results"]
    assert (user["run"], user["step"], user["steps"], user["state"]) == (wrote.pk, "greet", 1, "succeeded")
    memory = "production/global/greeting@1"
    assert user["left"] == {"memory": [memory], "tools": [], "runs": [], "more": False}
    reader = engine.run(engine.deploy(READS))
    assert [each["run"] for each in used(api, "memory", memory)["results"]] == [reader.pk, wrote.pk]


def test_every_kind_of_state_leads_to_its_runs(wrote: Run, api: Api) -> None:
    parent = engine.run(engine.deploy(CALLS))
    child = parent.children.get().pk
    (of_parent,) = used(api, "release", "calls@1")["results"]
    assert (of_parent["run"], of_parent["step"], of_parent["left"]["runs"]) == (parent.pk, None, [child])
    assert used(api, "release", "calls@1")["uses"]["steps"] is None
    provider = Call.objects.filter(run=wrote).values_list("provider", "model_requested").get()
    for kind, name in (("provider", provider[0]), ("provider", "/".join(provider)), ("model", provider[1])):
        found = used(api, kind, name)
        assert [each["run"] for each in found["results"]] == [child, wrote.pk], name
        assert (found["uses"]["runs"], found["uses"]["steps"]) == (2, 2)
    Call.objects.filter(run=wrote).update(model_returned="small-0711")
    assert [each["run"] for each in used(api, "model", "small-0711")["results"]] == [wrote.pk]


def test_a_provider_is_asked_about_in_a_window(wrote: Run, api: Api) -> None:
    call = Call.objects.get(run=wrote)
    at = call.started_at.isoformat()
    assert used(api, "provider", call.provider, since=at)["uses"]["runs"] == 1
    assert used(api, "provider", call.provider, until=at) == {
        **used(api, "provider", call.provider, until=at),
        "results": [],
        "next": None,
        "uses": {"runs": 0, "steps": 0, "more": False, "first_used_at": None, "last_used_at": None},
    }


def test_what_a_search_gave_leads_to_the_run(searched: Run, api: Api) -> None:
    for kind, name in (
        ("snapshot", "handbook@2"),
        ("document", "handbook/leave1.md"),
        ("revision", "handbook/leave1.md@1"),
        ("chunk", "handbook/leave1.md@1#0"),
    ):
        found = used(api, kind, name)
        assert [(each["run"], each["step"]) for each in found["results"]] == [(searched.pk, "look")], name
        assert found["uses"]["runs"] == 1
    for kind, name in (("document", "handbook/tea.md"), ("chunk", "handbook/tea.md@1#0")):
        assert used(api, kind, name)["results"] == [], name


def test_the_list_is_paged_by_run(wrote: Run, api: Api) -> None:
    others = [engine.run("writes", of=name).pk for name in ("bob", "cem", "dot")]
    runs = [*reversed(others), wrote.pk]
    provider = Call.objects.filter(run=wrote).values_list("provider", flat=True).get()
    for kind, name in (("prompt", "greet@1"), ("release", "writes@1"), ("provider", provider)):
        seen: list[str] = []
        cursor = None
        for _ in range(2):
            page = used(api, kind, name, limit=2, **({"cursor": cursor} if cursor else {}))
            seen += [each["run"] for each in page["results"]]
            cursor = page["next"]
        assert (seen, cursor) == (runs, None), kind


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"kind": "prompt", "name": "greet@7"}, 404, "unknown_prompt"),
        ({"kind": "prompt", "name": "greet"}, 404, "unknown_prompt"),
        ({"kind": "chunk", "name": "handbook/leave1.md#x"}, 404, "unknown_chunk"),
        ({"kind": "revision", "name": "@/@@"}, 404, "unknown_revision"),
        ({"kind": "memory", "name": "a@99999999999"}, 404, "unknown_memory"),
        ({"kind": "snapshot", "name": "@"}, 404, "unknown_snapshot"),
        ({"kind": "model", "name": "nobody"}, 404, "unknown_model"),
        ({"kind": "colour", "name": "red"}, 422, "invalid_request"),
        ({"kind": "prompt"}, 422, "invalid_request"),
        ({"kind": "prompt", "name": "greet@1", "cursor": "x"}, 422, "invalid_request"),
        ({"kind": "prompt", "name": "greet@1", "since": "2026-01-01T00:00:00Z"}, 422, "window_not_allowed"),
        (
            {
                "kind": "provider",
                "name": "fake",
                "since": "2026-01-02T00:00:00Z",
                "until": "2026-01-01T00:00:00Z",
            },
            422,
            "window_empty",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(
    wrote: Run, api: Api, query: dict[str, str], status: int, code: str
) -> None:
    assert_problem(api.get("/lineage", **query), status, code)


def test_the_page_asks_shows_and_leads_on(operator: Client, wrote: Run) -> None:
    assert "How to name it" in operator.get("/lineage/").content.decode()
    page = operator.get("/lineage/", {"kind": "prompt", "name": "greet@1"}).content.decode()
    for part in (
        f"/runs/{wrote.pk}/?step=greet",
        "global/greeting@1",
        "/quarantines/new/?kind=prompt&amp;ref=greet%401",
        "/prompts/greet/?version=1",
        "in use",
    ):
        assert part in page, part
    found = impose("prompt", "greet@1")
    page = operator.get("/lineage/", {"kind": "prompt", "name": "greet@1"}).content.decode()
    for part in ("greet@1 is quarantined", f"/quarantines/{found.pk}/", f"/runs/?taint={found.pk}"):
        assert part in page, part
    assert "/lineage/?kind=prompt" in operator.get(f"/quarantines/{found.pk}/").content.decode()


def test_the_page_says_what_is_wrong(viewer: Client, wrote: Run) -> None:
    for query, status, told in (
        ({"kind": "prompt", "name": "greet@9"}, 404, "There is no prompt greet@9. Name it NAME@VERSION."),
        ({"kind": "colour", "name": "red"}, 422, "kind must be one of"),
        ({"kind": "provider", "name": "fake", "since": "soon"}, 422, "is no time"),
        ({"kind": "tool", "name": "a\0b"}, 404, "There is no tool"),
    ):
        answer = viewer.get("/lineage/", query)
        assert (answer.status_code, told in answer.content.decode()) == (status, True), query
    unused = engine.deploy("name: idle\nsteps: [{id: a, set: {v: 1}}]\n")
    assert (
        "No run used it"
        in viewer.get("/lineage/", {"kind": "release", "name": f"{unused}@1"}).content.decode()
    )
    past = viewer.get("/lineage/", {"kind": "prompt", "name": "greet@1", "after": "r_0000000000000"})
    assert "Nothing further" in past.content.decode()


def test_other_pages_lead_here(viewer: Client, searched: Run) -> None:
    for address, part in (
        (f"/runs/{searched.pk}/?tab=documents", "/lineage/?kind=document&amp;name=handbook/leave1.md"),
        (f"/runs/{searched.pk}/?step=look", "/lineage/?kind=revision&amp;name=handbook%2Fleave1.md%401"),
        ("/corpora/handbook/snapshots/1/", "/lineage/?kind=snapshot&amp;name=handbook@1"),
        ("/corpora/handbook/document/?name=leave1.md", "/lineage/?kind=document&amp;name=handbook/leave1.md"),
        ("/workflows/looks/?tab=releases", "/lineage/?kind=release&amp;name=looks@1"),
    ):
        assert part in viewer.get(address).content.decode(), address


def test_prompts_and_memory_lead_here(viewer: Client, wrote: Run) -> None:
    for address, part in (
        ("/prompts/greet/?tab=usage", "/lineage/?kind=prompt&amp;name=greet@1"),
        (
            "/memory/key/?environment=production&scope=global&key=greeting",
            "/lineage/?kind=memory&amp;name=production%2Fglobal%2Fgreeting%401",
        ),
    ):
        assert part in viewer.get(address).content.decode(), address
