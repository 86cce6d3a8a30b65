"""Who gets in: tokens and sessions, wrong, expired and revoked ones."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from console.api import tokens
from console.models import ApiToken, User
from tests.web.api.conftest import Api, assert_problem, make_token
from workflows.actor import SYSTEM

pytestmark = pytest.mark.django_db


def test_without_a_token_the_answer_says_how_to_send_one(nobody: Api) -> None:
    answer = nobody.get("/runs")
    problem = assert_problem(answer, 401, "unauthenticated")
    assert answer["WWW-Authenticate"] == 'Bearer realm="interlock"'
    assert "Authorization: Bearer" in problem["detail"]


@pytest.mark.parametrize("secret", ["ilk_wrong", "x" * 10_000, "ilk_é", "ilk_a b"])
def test_a_wrong_token_is_refused(db: None, secret: str) -> None:
    answer = Api(secret).get("/runs")
    assert_problem(answer, 401, "unauthenticated")
    assert answer["WWW-Authenticate"] == 'Bearer realm="interlock", error="invalid_token"'


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "Bearer  ", "ilk_naked"])
def test_another_scheme_is_refused_with_the_form_that_is_taken(db: None, header: str) -> None:
    answer = Client().get("/api/v1/runs", headers={"Authorization": header})
    assert "Bearer TOKEN" in assert_problem(answer, 401, "unauthenticated")["detail"]


def test_an_expired_token_says_when_it_expired() -> None:
    secret = make_token("viewer")
    past = timezone.now() - timedelta(days=2)
    ApiToken.objects.update(expires_at=past)
    problem = assert_problem(Api(secret).get("/runs"), 401, "unauthenticated")
    assert f"expired at {past:%Y-%m-%d}" in problem["detail"]


def test_a_revoked_token_lets_nobody_in_from_that_moment() -> None:
    secret = make_token("viewer", "laptop")
    assert Api(secret).get("/runs").status_code == 200
    assert tokens.revoke(ApiToken.objects.get(), actor=SYSTEM, now=timezone.now())
    assert (
        "'laptop' was revoked" in assert_problem(Api(secret).get("/runs"), 401, "unauthenticated")["detail"]
    )
    assert not tokens.revoke(ApiToken.objects.get(), actor=SYSTEM, now=timezone.now())


def test_only_the_hash_of_a_token_is_stored() -> None:
    secret = make_token("viewer")
    assert secret.startswith("ilk_")
    assert len(secret) >= 40
    row = ApiToken.objects.values().get()
    assert secret not in str(row)
    assert row["prefix"] == secret[:10]


def test_a_busy_token_writes_when_it_was_used_at_most_once_a_minute(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    secret, now = make_token("viewer"), timezone.now()
    with django_assert_num_queries(2):
        tokens.check(secret, now=now)
    with django_assert_num_queries(1):
        tokens.check(secret, now=now + timedelta(seconds=59))
    with django_assert_num_queries(2):
        tokens.check(secret, now=now + timedelta(seconds=60))
    assert ApiToken.objects.get().last_used_at == now + timedelta(seconds=60)


@pytest.mark.parametrize(
    ("name", "role", "hours", "says"),
    [
        ("", "viewer", 1, "1 to 100"),
        ("a\nb", "viewer", 1, "printable"),
        ("a", "owner", 1, "viewer, operator"),
        ("a", "viewer", -1, "past"),
    ],
)
def test_a_token_that_makes_no_sense_is_not_made(name: str, role: str, hours: int, says: str) -> None:
    now = timezone.now()
    with pytest.raises(tokens.TokenInvalidError, match=says):
        tokens.create(name, role=role, expires_at=now + timedelta(hours=hours), actor=SYSTEM, now=now)
    assert not ApiToken.objects.exists()


def test_a_name_is_taken_once() -> None:
    make_token("viewer", "ci")
    with pytest.raises(tokens.TokenInvalidError, match="'ci' already"):
        make_token("viewer", "ci")


def test_a_signed_in_browser_may_read() -> None:
    client = Client()
    client.force_login(User.objects.create_user("vera", role="viewer"))
    assert client.get("/api/v1/runs").status_code == 200


def test_a_signed_in_browser_writes_with_its_csrf_token_only() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_user("otto", role="operator"))
    answer = client.post("/api/v1/runs", {}, content_type="application/json")
    assert "X-CSRFToken" in assert_problem(answer, 403, "forbidden")["detail"]
    client.get("/sign-in/")
    client.get("/api/v1/docs/")
    token = client.cookies["csrftoken"].value
    answer = client.post("/api/v1/runs", {}, content_type="application/json", headers={"X-CSRFToken": token})
    assert_problem(answer, 422, "invalid_request")


def test_a_token_needs_no_csrf(as_role: object) -> None:
    client = Client(enforce_csrf_checks=True, headers={"Authorization": f"Bearer {make_token('operator')}"})
    assert client.post("/api/v1/runs", {}, content_type="application/json").status_code == 422


def test_a_switched_off_person_is_nobody() -> None:
    client = Client()
    person = User.objects.create_user("gone", role="admin")
    client.force_login(person)
    User.objects.update(is_active=False)
    assert client.get("/api/v1/runs").status_code == 401
