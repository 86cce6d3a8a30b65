"""`GET /error-groups`, one of them, and what a person says of it."""

from __future__ import annotations

import pytest

from tests import factories
from tests.web.api.conftest import Api, assert_problem
from workflows.failures import grouping
from workflows.models import AuditEntry, ErrorGroup

pytestmark = pytest.mark.django_db(transaction=True)


def _fail(*messages: str) -> None:
    for number, message in enumerate(messages, 1):
        factories.run(
            "failed",
            number=number,
            ago_s=1000 - number,
            error={"class": "timeout", "message": message, "step": "map[3]/answer"},
        )
    grouping.settle()


def test_failures_that_are_alike_are_one_group_with_its_runs(api: Api) -> None:
    _fail("no answer in 3 s", "no answer in 4 s", "refused")
    [newest, older] = api.get("/error-groups").json()["results"]
    assert (newest["message"], older["message"]) == ("refused", "no answer in # s")
    assert (older["failed"], older["seen"], older["step"], older["class"]) == (
        2,
        2,
        "map[]/answer",
        "timeout",
    )
    assert (older["state"], older["assigned_to"], older["newest_run"]) == ("open", None, "r_0000000000002")
    assert api.get(f"/error-groups/{older['id']}").json() == older
    runs = api.get("/runs", error_group=older["id"]).json()["results"]
    assert {run["id"] for run in runs} == {"r_0000000000001", "r_0000000000002"}


def test_they_are_paged_and_filtered(api: Api) -> None:
    _fail("a b", "c d", "e f")
    first = api.get("/error-groups", limit=2).json()
    rest = api.get("/error-groups", limit=2, cursor=first["next"]).json()
    assert [each["message"] for each in (*first["results"], *rest["results"])] == ["e f", "c d", "a b"]
    assert rest["next"] is None
    pk = first["results"][0]["id"]
    api.post(f"/error-groups/{pk}", {"assigned_to": "ann", "state": "resolved"})
    assert [each["id"] for each in api.get("/error-groups", state="resolved").json()["results"]] == [pk]
    assert [each["id"] for each in api.get("/error-groups", assigned_to="ann").json()["results"]] == [pk]
    assert api.get("/error-groups", workflow="nothing").json()["results"] == []
    assert_problem(api.get("/error-groups", cursor="rubbish"), 422, "invalid_request")


def test_what_a_person_says_stays_and_what_is_left_out_is_not_touched(api: Api) -> None:
    _fail("no answer")
    pk = ErrorGroup.objects.get().pk
    api.post(f"/error-groups/{pk}", {"note": "the proxy"})
    changed = api.post(f"/error-groups/{pk}", {"assigned_to": "ann", "state": "resolved"}).json()
    assert (changed["note"], changed["assigned_to"], changed["state"]) == ("the proxy", "ann", "resolved")
    assert changed["resolved_by"]
    assert AuditEntry.objects.filter(action="error_group.change").count() == 2
    assert_problem(api.post(f"/error-groups/{pk}", {"state": "gone"}), 422, "invalid_request")
    assert_problem(api.post("/error-groups/999", {"note": "x"}), 404, "unknown_error_group")
    assert_problem(api.get("/error-groups/999"), 404, "unknown_error_group")


def test_what_somebody_else_said_meanwhile_is_not_overwritten_unseen(api: Api) -> None:
    _fail("no answer")
    group = api.get("/error-groups").json()["results"][0]
    address, seen = f"/error-groups/{group['id']}", group["revision"]
    first = api.post(address, {"note": "the proxy", "revision": seen}).json()
    assert first["revision"] == seen + 1
    assert first["changed_by"]
    assert first["changed_at"]
    refused = assert_problem(
        api.post(address, {"note": "the cable", "revision": seen}), 409, "changed_meanwhile"
    )
    assert first["changed_by"] in refused["detail"]
    assert api.get(address).json() == first
    # The same is no other opinion; and who has seen theirs, or does not ask, may.
    assert api.post(address, {"note": "the proxy", "revision": seen}).json() == first
    second = api.post(address, {"note": "the cable", "revision": first["revision"]}).json()
    assert second["note"] == "the cable"
    assert api.post(address, {"note": "both"}).json()["note"] == "both"
    assert_problem(api.post(address, {"revision": -1}), 422, "invalid_request")
