"""Forms that meet a session that is over, or a token that turned: nothing typed is lost, nothing is done."""

from __future__ import annotations

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from console.models import Role, User
from console.views import interrupted
from tests import factories
from workflows.models import Run

pytestmark = pytest.mark.django_db
FORM = {"title": 'A <b>title</b> & "more"', "input-question": "How?\n\n  Twice", "tags": ["one", "two"]}
START = "/workflows/docs-assistant/start/"


@pytest.fixture
def otto(db: None) -> User:
    factories.release()
    return factories.user(Role.OPERATOR, "otto", password=factories.PASSWORD)


def _send(client: Client, **extra: object) -> tuple[str, str]:
    """Send a form while signed out; returns the sign-in page and what is carried in it."""
    answer = client.post(START, {**FORM, **extra}, headers={"Referer": f"http://testserver{START}?like=r_1"})
    assert answer.status_code == 401
    assert answer["Cache-Control"] == "no-store"
    page = answer.content.decode()
    carried = re.search(r'name="carried" value="([^"]+)"', page)
    return page, carried[1] if carried else ""


def _sign_in(client: Client, carried: str, name: str = "otto", password: str = factories.PASSWORD) -> str:
    given = {"username": name, "password": password, "carried": carried, "next": "/runs/"}
    return client.post("/sign-in/", given).content.decode()


def test_signing_in_leads_back_to_what_was_typed_and_does_nothing_by_itself(
    client: Client, otto: User
) -> None:
    page, carried = _send(client)
    assert "what you typed comes back" in page
    assert "Twice" not in page
    back = _sign_in(client, carried)
    assert f'action="{START}"' in back
    assert f'data-page="{START}?like=r_1"' in back
    assert "How?\n\n  Twice</textarea>" in back
    assert "A &lt;b&gt;title&lt;/b&gt; &amp; &quot;more&quot;</textarea>" in back
    assert back.count('name="tags"') == 2
    assert not Run.objects.exists()


def test_a_wrong_password_loses_nothing(client: Client, otto: User) -> None:
    _, carried = _send(client)
    page = _sign_in(client, carried, password="wrong")
    assert carried in page
    assert "How?" in _sign_in(client, carried)


def test_somebody_else_does_not_get_it(client: Client, otto: User) -> None:
    factories.user(Role.OPERATOR, "nosy", password=factories.PASSWORD)
    _sign_in(client, "")  # otto was here last
    client.post("/sign-out/")
    _, carried = _send(client)
    answer = client.post(
        "/sign-in/", {"username": "nosy", "password": factories.PASSWORD, "carried": carried}
    )
    assert answer.status_code == 302
    assert "was not yours" in client.get("/runs/").content.decode()


@pytest.mark.parametrize("carried", ["rubbish", "gAAAAA==", "\N{SNOWMAN}", "x" * 10_000])
def test_what_we_did_not_make_is_dropped(client: Client, otto: User, carried: str) -> None:
    answer = client.post(
        "/sign-in/", {"username": "otto", "password": factories.PASSWORD, "carried": carried}
    )
    assert answer.status_code == 302


def test_passwords_and_tokens_of_forms_are_never_carried(client: Client, otto: User) -> None:
    answer = client.post("/settings/password/", {"old_password": "secret1", "new_password1": "secret2"})
    assert answer.status_code == 401
    assert b'name="carried"' not in answer.content
    _, carried = _send(client, csrfmiddlewaretoken="x" * 64, password="secret3")
    held = interrupted.unpack(carried, person="otto")
    assert held
    assert {name for name, _ in held.fields} == {"title", "input-question", "tags"}


def test_files_have_to_be_chosen_again_and_the_page_says_so(client: Client, otto: User) -> None:
    _, carried = _send(client, document=SimpleUploadedFile("a.md", b"text"))
    assert "choose them again" in _sign_in(client, carried)


def test_what_is_too_large_is_told_instead_of_lost_silently(client: Client, otto: User) -> None:
    page, carried = _send(client, text="x" * 3_100_000)
    assert not carried
    assert "too large to be carried over" in page


def test_a_page_of_another_site_is_never_led_to(client: Client, otto: User) -> None:
    answer = client.post(START, FORM, headers={"Referer": "https://evil.example/form"})
    carried = re.search(r'name="carried" value="([^"]+)"', answer.content.decode())
    assert carried
    held = interrupted.unpack(carried[1], person="otto")
    assert held
    assert held.page == START


def test_a_form_with_an_old_token_comes_back_filled_and_can_be_sent(otto: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(otto)
    ours = {"Origin": "http://testserver", "Referer": "http://testserver/settings/"}
    answer = client.post("/settings/time-zone/", {"time_zone": "Europe/Berlin"}, headers=ours)
    assert answer.status_code == 403
    page = answer.content.decode()
    assert "opened before you last signed in" in page
    assert "Europe/Berlin</textarea>" in page
    token = re.search(r'data-page="/settings/"><input[^>]*value="(\w+)"', page)
    assert token
    sent = {"time_zone": "Europe/Berlin", "csrfmiddlewaretoken": token[1]}
    assert client.post("/settings/time-zone/", sent, headers=ours).status_code == 302


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://evil.example"}, {"Origin": "null"}])
def test_what_another_site_sends_is_never_shown_to_be_confirmed(otto: User, headers: dict[str, str]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(otto)
    answer = client.post("/workflows/docs-assistant/start/", FORM, headers=headers)
    assert answer.status_code == 403
    assert b"Twice" not in answer.content


def test_the_dialog_signs_in_without_a_redirect(client: Client, otto: User) -> None:
    part = client.get("/sign-in/", headers={"HX-Request": "true"}).content.decode()
    assert "You were signed out" in part
    assert "<html" not in part
    given = {"username": "otto", "password": "wrong"}
    wrong = client.post("/sign-in/", given, headers={"HX-Request": "true"})
    assert "do not belong together" in wrong.content.decode()
    right = {**given, "password": factories.PASSWORD}
    assert client.post("/sign-in/", right, headers={"HX-Request": "true"}).status_code == 204
    assert client.get("/runs/").status_code == 200
    assert client.get("/sign-in/", headers={"HX-Request": "true"}).status_code == 204
