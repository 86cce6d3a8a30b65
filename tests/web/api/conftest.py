"""Clients of the API: one per role, with a token; nobody; and the records that tests read."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from console.api import tokens
from console.models import Role
from workflows.actor import SYSTEM

BASE = "/api/v1"


class Api:
    """Asks the API as one token's holder; answers are Django's, `.json()` and all."""

    def __init__(self, secret: str | None) -> None:
        self.client = Client(raise_request_exception=True)
        self.headers = {"Authorization": f"Bearer {secret}"} if secret else {}

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(BASE + path, query, headers=self.headers)

    def post(self, path: str, body: Any = None, *, headers: dict[str, str] | None = None, **more: Any) -> Any:
        return self.raw(path, json.dumps(body if body is not None else {}), headers=headers, **more)

    def raw(
        self,
        path: str,
        data: str | bytes,
        *,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
        method: str = "POST",
    ) -> Any:
        return self.client.generic(
            method, BASE + path, data, content_type=content_type, headers={**self.headers, **(headers or {})}
        )

    def upload(self, path: str, **fields: Any) -> Any:
        return self.client.post(BASE + path, fields, headers=self.headers)


def make_token(role: str, name: str = "") -> str:
    """Make a token and return its secret."""
    return tokens.create(
        name or f"test-{role}",
        role=role,
        expires_at=timezone.now() + timedelta(hours=1),
        actor=SYSTEM,
        now=timezone.now(),
    ).secret


@pytest.fixture
def as_role(db: None) -> Callable[[str], Api]:
    """`as_role("operator")` is a client with a token of that role."""
    made: dict[str, Api] = {}

    def client(role: str) -> Api:
        return made.setdefault(role, Api(make_token(role))) if role not in made else made[role]

    return client


@pytest.fixture
def api(as_role: Callable[[str], Api]) -> Api:
    """A client that may do everything."""
    return as_role(Role.ADMIN)


@pytest.fixture
def nobody(db: None) -> Api:
    """A client without a token."""
    return Api(None)


def assert_problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is a problem in the right form, and return it."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["type"] == f"urn:interlock:problem:{code}"
    assert problem["title"]
    assert problem["detail"].endswith((".", ")")), problem["detail"]
    assert "Traceback" not in problem["detail"]
    assert problem["request_id"] == answer["X-Request-Id"]
    return problem
