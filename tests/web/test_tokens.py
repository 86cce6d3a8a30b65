"""API tokens in the console: made, shown once, used, revoked."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from console.api import tokens
from console.models import ApiToken, Role
from tests import factories
from tests.web.api.conftest import Api
from workflows.actor import Actor
from workflows.models import AuditEntry

pytestmark = pytest.mark.django_db
ANNA = Actor(kind="user", name="anna")


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(factories.user(Role.ADMIN, "anna"))
    return client


def _make(name: str = "billing", *, expires: timedelta | None = None) -> tokens.Created:
    now = timezone.now()
    until = now + expires if expires else None
    return tokens.create(name, role="viewer", expires_at=until, actor=ANNA, now=now)


def test_a_token_is_shown_once_works_and_is_stored_as_a_hash(admin: Client) -> None:
    page = admin.post("/settings/tokens/", {"name": "billing", "role": "viewer", "expires": "30"})
    assert page["Cache-Control"] == "no-store"
    secret = re.search(r"ilk_[\w-]{30,}", page.content.decode())
    assert secret
    assert Api(secret[0]).get("/runs").status_code == 200
    token = ApiToken.objects.get()
    assert (token.role, token.created_by) == ("viewer", "anna")
    assert token.expires_at
    assert timedelta(days=29) < token.expires_at - timezone.now() < timedelta(days=31)
    again = admin.get("/settings/tokens/").content.decode()
    assert secret[0] not in again
    assert token.prefix in again
    assert secret[0] not in str(list(AuditEntry.objects.values())) + str(list(ApiToken.objects.values()))
    repeated = admin.post("/settings/tokens/", {"name": "billing", "role": "viewer", "expires": "30"})
    assert repeated.status_code == 422
    assert b"a token named" in repeated.content
    assert ApiToken.objects.count() == 1


def test_a_token_may_be_without_an_end(admin: Client) -> None:
    admin.post("/settings/tokens/", {"name": "ci", "role": "operator", "expires": "never"})
    assert ApiToken.objects.get().expires_at is None


@pytest.mark.parametrize("wrong", [{"name": ""}, {"role": "owner"}, {"expires": "soon"}])
def test_what_cannot_be_is_refused_and_the_rest_is_kept(admin: Client, wrong: dict[str, str]) -> None:
    page = admin.post("/settings/tokens/", {"name": "ci", "role": "editor", "expires": "7", **wrong})
    assert page.status_code == 422
    assert b"aria-invalid" in page.content
    assert not ApiToken.objects.exists()


def test_a_revoked_token_lets_nobody_in(admin: Client) -> None:
    made = _make()
    assert b"Revoke billing?" in admin.get(f"/settings/tokens/{made.token.pk}/revoke/").content
    admin.post(f"/settings/tokens/{made.token.pk}/revoke/")
    assert Api(made.secret).get("/runs").status_code == 401
    assert AuditEntry.objects.filter(action="token.revoke", actor="anna").count() == 1
    admin.post(f"/settings/tokens/{made.token.pk}/revoke/")
    assert AuditEntry.objects.filter(action="token.revoke").count() == 1
    page = admin.get("/settings/tokens/").content
    assert b">revoked<" in page


def test_an_expired_token_is_shown_as_such(admin: Client) -> None:
    made = _make(expires=timedelta(days=1))
    ApiToken.objects.filter(pk=made.token.pk).update(expires_at=timezone.now() - timedelta(hours=1))
    assert b">expired<" in admin.get("/settings/tokens/").content


def test_before_the_first_token_the_page_says_what_one_is(admin: Client) -> None:
    assert b"No API tokens yet" in admin.get("/settings/tokens/").content


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.EDITOR])
def test_others_see_and_do_nothing(client: Client, role: str) -> None:
    made = _make()
    client.force_login(factories.user(role, "nosy"))
    assert client.get("/settings/tokens/").status_code == 403
    assert client.post("/settings/tokens/", {"name": "x", "role": "admin"}).status_code == 403
    assert client.post(f"/settings/tokens/{made.token.pk}/revoke/").status_code == 403
    made.token.refresh_from_db()
    assert made.token.revoked_at is None


def test_the_list_takes_three_queries_and_is_bounded(
    admin: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    ApiToken.objects.bulk_create(
        ApiToken(name=f"token {number}", prefix="ilk_abcdef", token_hash=str(number).encode(), role="viewer")
        for number in range(600)
    )
    with django_assert_num_queries(3):
        page = admin.get("/settings/tokens/").content.decode()
    assert page.count("ilk_abcdef") == 500
    assert "The newest 500 are shown" in page
