"""`/webhooks`: how deliveries go, sending again, a test event, switching off and on."""

from __future__ import annotations

import pytest

from tests import example_webhooks
from tests.web.api.conftest import Api, assert_problem

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _filled(transactional_db: None) -> None:
    example_webhooks.fill()


def test_webhooks_and_their_deliveries_are_listed(api: Api) -> None:
    found = api.get("/webhooks").json()["results"]
    assert [each["name"] for each in found] == ["data-lake", "on-call", "old-chat"]
    shown = api.get("/webhooks/data-lake").json()
    assert (shown["pending"], shown["failed"], shown["disabled"]) == (2, 1, False)
    first = api.get("/webhooks/data-lake/deliveries", limit=3).json()
    rest = api.get("/webhooks/data-lake/deliveries", limit=3, cursor=first["next"]).json()
    assert len(first["results"]) + len(rest["results"]) == 4
    [given_up] = api.get("/webhooks/data-lake/deliveries", state="failed").json()["results"]
    assert (given_up["attempts"], given_up["status"]) == (11, 500)
    [missed] = api.get("/webhooks/data-lake/deliveries", type="schedule.").json()["results"]
    assert missed["type"] == "schedule.missed"
    assert_problem(api.get("/webhooks/nope/deliveries"), 404, "unknown_webhook")


def test_a_delivery_is_sent_again(api: Api) -> None:
    [given_up] = api.get("/webhooks/data-lake/deliveries", state="failed").json()["results"]
    again = api.post(f"/webhooks/data-lake/deliveries/{given_up['id']}/redeliver", {"reason": "mended"})
    assert (again.status_code, again.json()["state"]) == (202, "pending")
    assert again.json()["event"] == given_up["event"]
    problem = api.post(f"/webhooks/on-call/deliveries/{given_up['id']}/redeliver", {})
    assert_problem(problem, 404, "unknown_delivery")


def test_a_test_event_and_the_switch(api: Api) -> None:
    assert api.post("/webhooks/on-call/test", {}).json()["type"] == "webhook.test"
    assert_problem(api.post("/webhooks/old-chat/test", {}), 409, "webhook_switched_off")
    assert api.post("/webhooks/old-chat/enable", {}).json()["disabled"] is False
    assert api.post("/webhooks/on-call/disable", {"reason": "noise"}).json()["disabled_why"] == "noise"
