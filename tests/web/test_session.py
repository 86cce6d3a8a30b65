"""Signing in and out, the theme, and error pages."""

from __future__ import annotations

import pytest
from django.test import Client

from console import sign_ins
from console.models import User
from workflows.models import AuditEntry

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


def _entries() -> list[tuple[str, str, str, str]]:
    rows = AuditEntry.objects.order_by("id").values_list("action", "actor", "object_id", "data__why")
    return [(action, actor, name, why or "") for action, actor, name, why in rows]


def test_sign_ins_are_in_the_audit_log_with_request_and_address(client: Client, person: User) -> None:
    answer = client.post(
        "/sign-in/", {"username": "marta", "password": "a long password"}, REMOTE_ADDR="203.0.113.7"
    )
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.object_id) == ("member.sign_in", "marta", "marta")
    assert entry.data == {"address": "203.0.113.7", "request": answer["X-Request-Id"]}


def test_failed_sign_ins_are_too_without_what_was_typed(client: Client, person: User) -> None:
    for name, password in (
        ("marta", "typed-1"),
        ("typed-2", "typed-3"),
        ("", "typed-4"),
        ("a\0b", "typed-5"),
    ):
        client.post("/sign-in/", {"username": name, "password": password})
    User.objects.update(is_active=False)
    client.post("/sign-in/", {"username": "marta", "password": "a long password"})
    failed, by = "member.sign_in_failed", "system:sign-in"
    assert _entries() == [
        (failed, by, "marta", "wrong password"),
        (failed, by, "", "no such member"),
        (failed, by, "marta", "switched off"),
    ]
    assert "typed" not in str(list(AuditEntry.objects.values()))


def test_nobody_fills_the_audit_log_with_failures(client: Client, person: User) -> None:
    for _ in range(sign_ins.MOST_FAILURES + 5):
        client.post("/sign-in/", {"username": "nobody", "password": "x"})
    client.post("/sign-in/", {"username": "nobody", "password": "x"}, REMOTE_ADDR="203.0.113.7")
    assert AuditEntry.objects.count() == sign_ins.MOST_FAILURES + 1


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
