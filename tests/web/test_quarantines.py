"""Quarantines over the API and in the console."""

from __future__ import annotations

import pytest
from django.test import Client

from tests import engine
from tests.db.engine.test_forks import OTHERS
from tests.db.quarantine.test_quarantine import WRITES
from tests.web.api.conftest import Api, assert_problem, make_token
from workflows.engine import bundle
from workflows.models import Quarantine, Run


@pytest.fixture
def api() -> Api:
    return Api(make_token("operator"))


@pytest.fixture
def wrote(transactional_db: None) -> Run:
    bundle.forget_providers()
    return engine.run(engine.deploy(WRITES, others=OTHERS), of="ann")


BODY = {"kind": "prompt", "ref": "greet@1", "reason": "It insults people."}


def test_a_quarantine_is_made_listed_and_released_over_the_api(wrote: Run, api: Api) -> None:
    made = api.post("/quarantines", BODY)
    assert made.status_code == 201, made.content
    found = made.json()
    assert (found["state"], found["runs"], found["deployed"]) == ("active", 1, ["writes/production"])
    assert api.get("/quarantines", state="active").json()["results"] == [found]
    assert api.get(f"/quarantines/{found['id']}").json() == found
    (run,) = api.get(f"/quarantines/{found['id']}/runs").json()["results"]
    assert (run["run"], run["step"], run["via"]) == (wrote.pk, "greet", None)
    for taint in ("any", str(found["id"])):
        assert [each["id"] for each in api.get("/runs", taint=taint).json()["results"]] == [wrote.pk]
    assert api.get("/runs", taint="any", state="failed").json()["results"] == []
    ask = {"action": "cancel", "filter": {"taint": str(found["id"])}, "dry_run": True, "reason": ""}
    assert api.post("/runs/bulk", ask).json()["matched"] == 1
    assert api.get(f"/runs/{wrote.pk}").json()["tainted_by"] == [found["id"]]
    done = api.post(f"/quarantines/{found['id']}/release", {"reason": "It was a test."})
    assert (done.json()["state"], done.json()["released_by"]) == ("released", "token:test-operator")
    assert api.get("/runs", taint="any").json()["results"] == []
    assert api.get(f"/runs/{wrote.pk}").json()["tainted_by"] == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({**BODY, "ref": "greet@7"}, 404, "unknown_prompt"),
        ({**BODY, "kind": "colour"}, 422, "invalid_request"),
        ({**BODY, "reason": ""}, 422, "invalid_request"),
        ({**BODY, "since": "2026-01-01T00:00:00Z"}, 422, "window_not_allowed"),
    ],
)
def test_what_makes_no_sense_is_refused(
    wrote: Run, api: Api, body: dict[str, str], status: int, code: str
) -> None:
    assert_problem(api.post("/quarantines", body), status, code)
    assert not Quarantine.objects.exists()


def test_only_who_may_quarantines(wrote: Run) -> None:
    viewer = Api(make_token("viewer"))
    assert viewer.post("/quarantines", BODY).status_code == 403
    assert_problem(viewer.get("/quarantines/7"), 404, "unknown_quarantine")


def test_a_run_that_is_asked_onto_a_release_with_it_is_refused(wrote: Run, api: Api) -> None:
    api.post("/quarantines", BODY)
    refused = api.post("/runs", {"workflow": "writes", "input": {"of": "bob"}, "release": 1})
    assert_problem(refused, 409, "release_quarantined")
    assert (
        "No run is started on release 1 of writes: prompt greet@1 is quarantined." in refused.json()["detail"]
    )
    forked = api.post(f"/runs/{wrote.pk}/fork", {"overrides": {"prompts": {"greet": 1}}})
    assert forked.status_code == 201, "it is what the run had"


def test_the_console_takes_out_of_use_shows_who_used_it_and_lets_back_in(
    operator: Client, wrote: Run
) -> None:
    assert "Nothing is quarantined" in operator.get("/quarantines/").content.decode()
    assert operator.get("/quarantines/new/", {"kind": "prompt", "ref": "greet@1"}).status_code == 200
    refused = operator.post("/quarantines/new/", {**BODY, "ref": "greet@8"})
    assert (refused.status_code, "There is no prompt greet@8" in refused.content.decode()) == (409, True)
    window = {"kind": "provider", "ref": "fake", "since": "soon", "reason": "x"}
    assert "is no time" in operator.post("/quarantines/new/", window).content.decode()
    address = operator.post("/quarantines/new/", BODY)["Location"]
    page = operator.get(address).content.decode()
    for part in ("1 run used it", wrote.pk, "Still live.", "It insults people."):
        assert part in page, part
    assert "Tainted:" in operator.get(f"/runs/{wrote.pk}/").content.decode()
    number = address.split("/")[-2]
    assert f'href="/runs/?q=taint:{number}&amp;range=all"' in page
    assert wrote.pk in operator.get(f"/runs/?q=taint:{number}&range=all").content.decode()
    assert "greet@1" in operator.get("/quarantines/").content.decode()
    operator.post(f"{address}release/", {"reason": "a test"})
    assert "Released by" in operator.get(address).content.decode()
    assert "?q=taint:" not in operator.get(address).content.decode()
    assert wrote.pk not in operator.get("/runs/?q=taint:any&range=all").content.decode()
    assert "Tainted:" not in operator.get(f"/runs/{wrote.pk}/").content.decode()
    assert operator.get("/quarantines/99/").status_code == 404


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"kind": "prompt", "ref": "greet@1"}, "1 run"),
        ({"kind": "prompt", "ref": "greet@8"}, "There is no prompt greet@8"),
        ({"kind": "provider", "ref": "fake", "since": "soon"}, "is no time"),
        ({"kind": "provider", "ref": "fake", "until": "2001-01-01 00:00"}, "No run has used it so far"),
    ],
)
def test_it_says_beforehand_how_many_runs_it_will_mark(
    operator: Client, wrote: Run, asked: dict[str, str], told: str
) -> None:
    page = operator.get("/quarantines/new/", asked)
    part = operator.get("/quarantines/new/", asked, headers={"HX-Request": "true", "HX-Target": "reach"})
    for answer in (page, part):
        assert told in answer.content.decode()
    assert "<form" not in part.content.decode()
    assert not Quarantine.objects.exists()


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("", "No search finds it"),
        ("snapshot", "the newest clean one before it"),
        ("prompt", "itself or in a child workflow"),
        ("memory", "The last clean version"),
        ("release", "a release that starts it"),
        (
            "provider",
            "Nothing is taken out of use: to stop asking the provider, edit the routes that name it.",
        ),
    ],
)
def test_it_says_beforehand_what_follows_for_each_kind(operator: Client, kind: str, told: str) -> None:
    assert told in operator.get("/quarantines/new/", {"kind": kind}).content.decode()


def test_it_says_beforehand_what_is_quarantined_already(operator: Client, wrote: Run) -> None:
    operator.post("/quarantines/new/", BODY)
    assert "Quarantined already" in operator.get("/quarantines/new/", BODY).content.decode()


def test_a_viewer_looks_only(viewer: Client, wrote: Run) -> None:
    assert viewer.get("/quarantines/").status_code == 200
    assert viewer.get("/quarantines/new/").status_code == 403
