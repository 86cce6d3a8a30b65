"""Every address, as each role and as nobody: the permission that a view names is the one that holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from console import access
from console.models import Role, User

pytestmark = pytest.mark.django_db
_PARTS = {"int": "1", "str": "x", "slug": "x", "path": "x", "uuid": "00000000-0000-0000-0000-000000000000"}


def _addresses(
    patterns: list[URLPattern | URLResolver], prefix: str = ""
) -> Iterator[tuple[str, Callable[..., Any]]]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _addresses(pattern.url_patterns, route)
        else:
            yield route, pattern.callback


ADDRESSES = dict(_addresses(get_resolver().url_patterns))


def _example(route: str) -> str:
    return "/" + re.sub(r"<(?:(\w+):)?\w+>", lambda part: _PARTS[part[1] or "str"], route)


@pytest.fixture(params=Role.values)
def member(request: pytest.FixtureRequest, client: Client) -> tuple[str, Client]:
    client.force_login(User.objects.create_user(request.param, role=request.param))
    return request.param, client


def test_every_view_names_a_permission_or_is_public() -> None:
    for route, view in ADDRESSES.items():
        if access.is_api(view):
            continue
        assert access.is_public(view) or getattr(view, "permission", None) in access.LOWEST_ROLE, route


def test_every_role_gets_in_exactly_where_its_permissions_lead(member: tuple[str, Client]) -> None:
    role, client = member
    client.raise_request_exception = False
    for route, view in ADDRESSES.items():
        if access.is_api(view) or access.is_public(view):
            continue
        answer = client.get(_example(route), follow=False)
        refused = answer.status_code == 403
        assert refused is not access.may(role, view.permission), (role, route, answer.status_code)  # type: ignore[attr-defined]


def test_nobody_gets_in_without_signing_in(client: Client) -> None:
    for route, view in ADDRESSES.items():
        if access.is_api(view) or access.is_public(view):
            continue
        answer = client.get(_example(route))
        assert answer.status_code == 302, route
        assert answer["Location"].startswith("/sign-in/"), route
