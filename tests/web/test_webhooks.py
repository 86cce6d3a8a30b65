"""The pages of webhooks: the list, deliveries with their tries, sending again, switching off and on."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from tests import example_webhooks, factories
from tests.example_webhooks import delivery, webhook
from workflows.models import AuditEntry, Delivery, Event, Webhook

pytestmark = pytest.mark.django_db
FRAGMENT = {"HX-Request": "true"}
LAKE = "/settings/webhooks/data-lake/"


@pytest.fixture
def filled(db: None) -> None:
    example_webhooks.fill()


def test_the_list_puts_what_fails_first(
    operator: Client, filled: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    # Session and person, webhooks, their newest deliveries, counts.
    with django_assert_num_queries(5):
        page = operator.get("/settings/webhooks/").content.decode()
    places = [
        page.index(f'href="/settings/webhooks/{name}/"') for name in ("data-lake", "on-call", "old-chat")
    ]
    assert places == sorted(places)
    for text in ("Failing", "Working", "Switched off", "hooks.example.com", "run.failed, schedule.*"):
        assert text in page


def test_the_list_says_how_to_make_the_first_one(viewer: Client) -> None:
    assert b"No webhooks yet" in viewer.get("/settings/webhooks/").content


def test_deliveries_are_shown_by_state_and_by_type(
    operator: Client, filled: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    # Session and person, webhook, its newest delivery, counts, deliveries with events.
    with django_assert_num_queries(6):
        page = operator.get(LAKE).content.decode()
    for text in ("Connection refused", "Nothing has arrived for", "Retrying", "Given up", "Send 1 again"):
        assert text in page
    assert "secret:hook" in page
    given_up = operator.get(f"{LAKE}?state=failed").content.decode()
    assert "r_0000000000013" in given_up
    assert "r_0000000000011" not in given_up
    typed = operator.get(f"{LAKE}?type=schedule.").content.decode()
    assert "r_0000000000014" in typed
    assert "r_0000000000013" not in typed
    assert b"No delivery is like this" in operator.get(f"{LAKE}?type=zzz").content
    assert operator.get("/settings/webhooks/nope/").status_code == 404


def test_many_deliveries_come_in_pages(operator: Client) -> None:
    webhook("busy")
    for number in range(60):
        delivery("busy", number)
    first = operator.get("/settings/webhooks/busy/").content.decode()
    assert f"r_{59:013d}" in first
    assert f"r_{9:013d}" not in first
    older = first.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0]
    assert f"r_{9:013d}" in operator.get(f"/settings/webhooks/busy/{older}").content.decode()


def test_a_poll_without_news_is_not_drawn_again(operator: Client, filled: None) -> None:
    first = operator.get(LAKE, headers=FRAGMENT)
    assert b"<html" not in first.content
    mark = {**FRAGMENT, "HX-PTag": first["HX-PTag"]}
    assert operator.get(LAKE, headers=mark).status_code == 304
    delivery("data-lake", 99)
    assert operator.get(LAKE, headers=mark).status_code == 200


def test_a_delivery_shows_its_message_and_every_try(
    operator: Client, filled: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    found = Delivery.objects.get(event__subject="r_0000000000011")
    # Session and person, webhook with its newest delivery and counts, the delivery of the webhook, its tries.
    with django_assert_num_queries(8):
        page = operator.get(f"{LAKE}deliveries/{found.pk}/").content.decode()
    assert 'href="/runs/r_0000000000011/"' in page
    for text in ("evt_", "upstream connect error", "Connection refused", "503", "docs-assistant", "Send now"):
        assert text in page
    assert operator.get(f"/settings/webhooks/on-call/deliveries/{found.pk}/").status_code == 404


def test_a_delivery_is_sent_again_under_the_same_id(operator: Client, filled: None) -> None:
    found = Delivery.objects.get(event__subject="r_0000000000013")
    done = operator.post(f"{LAKE}deliveries/{found.pk}/again/", follow=True)
    assert b"sent again, with another day of tries" in done.content
    found.refresh_from_db()
    assert (found.state, found.attempts_before) == ("pending", 11)
    assert AuditEntry.objects.get().action == "webhook.redeliver"


def test_everything_given_up_is_sent_again(operator: Client, filled: None) -> None:
    assert b"Send 1 delivery again?" in operator.get(f"{LAKE}again/", headers=FRAGMENT).content
    assert operator.post(f"{LAKE}again/", headers=FRAGMENT)["HX-Redirect"] == LAKE
    assert not Delivery.objects.filter(state="failed").exists()


def test_a_test_event_is_sent_from_the_page(operator: Client, filled: None) -> None:
    done = operator.post(f"{LAKE}test/", follow=True)
    event = Event.objects.get(type="webhook.test")
    assert event.pk in done.content.decode()
    refused = operator.post("/settings/webhooks/old-chat/test/", follow=True)
    assert b"switch it on first" in refused.content


def test_switching_off_and_on_asks_first(operator: Client, filled: None) -> None:
    assert b"2 deliveries that wait are given up" in operator.get(f"{LAKE}off/", headers=FRAGMENT).content
    operator.post(f"{LAKE}off/", {"reason": "moving"}, headers=FRAGMENT)
    page = operator.get(LAKE).content.decode()
    assert "Switched off by otto" in page
    assert "moving" in page
    again = operator.post(f"{LAKE}off/", {"reason": "typed"}, headers=FRAGMENT)
    assert again.status_code == 409
    assert 'value="typed"' in again.content.decode()
    assert operator.post(f"{LAKE}on/").status_code == 302
    assert Webhook.objects.get(pk="data-lake").disabled_at is None


def test_the_overview_and_the_search_lead_to_what_fails(operator: Client, filled: None) -> None:
    factories.run()
    needs = operator.get("/overview/needs/").content.decode()
    assert "webhook fails" in needs
    assert f'href="{LAKE}"' in needs
    assert f'href="{LAKE}"' in operator.get("/search/?q=lake", headers=FRAGMENT).content.decode()


def test_a_viewer_may_look_but_not_send(viewer: Client, filled: None) -> None:
    assert b"Sending to webhooks needs the role operator or higher" in viewer.get(LAKE).content
    for what in ("test", "off", "on", "again", "deliveries/1/again"):
        assert viewer.post(f"{LAKE}{what}/").status_code == 403


def test_what_endpoints_answer_is_escaped(operator: Client) -> None:
    webhook("bad")
    made = delivery("bad", 1, answers=("<script>alert(1)</script>",))
    for address in ("/settings/webhooks/bad/", f"/settings/webhooks/bad/deliveries/{made.pk}/"):
        assert b"<script>alert" not in operator.get(address).content
