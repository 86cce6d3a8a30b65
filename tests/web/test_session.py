"""Signing in and out, the theme, and error pages."""

from __future__ import annotations

import pytest
from django.test import Client

from console.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def person(django_user_model: type[User]) -> User:
    return django_user_model.objects.create_user("marta", password="a long password", role="operator")


def test_signing_in_leads_to_the_page_that_was_asked_for(client: Client, person: User) -> None:
    answer = client.get("/runs/?state=failed")
    assert answer.status_code == 302
    assert answer["Location"] == "/sign-in/?next=/runs/%3Fstate%3Dfailed"
    answer = client.post(
        answer["Location"],
        {"username": "marta", "password": "a long password", "next": "/runs/?state=failed"},
    )
    assert answer["Location"] == "/runs/?state=failed"


def test_a_wrong_password_says_so_and_nothing_more(client: Client, person: User) -> None:
    answer = client.post("/sign-in/", {"username": "marta", "password": "wrong"})
    assert answer.status_code == 200
    assert b"do not belong together" in answer.content


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_signing_in_never_leads_to_another_site(client: Client, person: User, target: str) -> None:
    answer = client.post("/sign-in/", {"username": "marta", "password": "a long password", "next": target})
    assert answer["Location"] == "/"
    answer = client.post("/appearance/", {"theme": "dark", "next": target})
    assert answer["Location"] == "/"


def test_signing_out_ends_the_session(client: Client, person: User) -> None:
    client.force_login(person)
    assert client.get("/sign-out/").status_code == 405
    client.post("/sign-out/")
    assert client.get("/runs/").status_code == 302


def test_the_theme_is_drawn_by_the_server(client: Client, person: User) -> None:
    client.post("/appearance/", {"theme": "dark", "next": "/sign-in/"})
    assert b'data-theme="dark"' in client.get("/sign-in/").content
    client.post("/appearance/", {"theme": "<script>", "next": "/sign-in/"})
    assert b'data-theme="dark"' in client.get("/sign-in/").content


def test_a_fragment_of_a_signed_out_person_is_refused_without_a_redirect(client: Client) -> None:
    answer = client.get("/runs/", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert b"signed out" in answer.content


def test_pages_forbid_everything_that_is_not_ours(client: Client) -> None:
    policy = client.get("/sign-in/")["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_a_missing_page_says_so_and_names_the_request(client: Client, person: User) -> None:
    client.force_login(person)
    answer = client.get("/nothing/here/")
    assert answer.status_code == 404
    assert answer["X-Request-Id"].encode() in answer.content
    assert (
        client.get("/nothing/here/", headers={"X-Request-Id": "from-a-proxy-1"})["X-Request-Id"]
        == "from-a-proxy-1"
    )
    assert client.get("/nothing/here/", headers={"X-Request-Id": "<b>"})["X-Request-Id"] != "<b>"


def test_a_form_without_its_token_is_explained(person: User) -> None:
    answer = Client(enforce_csrf_checks=True).post("/sign-in/", {"username": "marta", "password": "x"})
    assert answer.status_code == 403
    assert b"send it again" in answer.content
