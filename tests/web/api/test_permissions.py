"""Every operation of the API as each role: the permission that it names is the one that holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.urls import URLPattern

from console import access
from console.api import urls
from console.api.schema import Unknown
from console.models import Role
from tests.web.api.conftest import Api, assert_problem

_PARTS = {"int": "1", "str": "x", "path": "x"}


def _endpoints() -> list[tuple[str, str, str]]:
    """Return (method, path, permission) of every operation."""
    found = []
    for pattern in urls.urlpatterns:
        view = getattr(pattern.callback, "cls", None)
        if view is None or view is Unknown:
            continue
        path = "/" + re.sub(r"<(\w+):\w+>", lambda part: _PARTS[part[1]], str(pattern.pattern))
        [permission] = view.permission_classes
        if hasattr(view, "get"):
            found.append(("GET", path, permission.read))
        if hasattr(view, "post"):
            found.append(("POST", path, permission.write))
    return found


ENDPOINTS = _endpoints()


def test_every_operation_names_a_permission_that_exists() -> None:
    assert len(ENDPOINTS) > 10
    for _, _, permission in ENDPOINTS:
        assert permission in access.LOWEST_ROLE


def test_nothing_under_the_api_escapes_the_walk() -> None:
    assert all(isinstance(pattern, URLPattern) for pattern in urls.urlpatterns)


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "path", "permission"), ENDPOINTS)
@pytest.mark.parametrize("role", Role.values)
def test_a_role_gets_in_exactly_where_its_permissions_lead(
    as_role: Callable[[str], Api], role: str, method: str, path: str, permission: str
) -> None:
    answer: Any = as_role(role).raw(path, b"", content_type="", method=method)
    if access.may(role, permission):
        assert answer.status_code not in {401, 403}
    else:
        problem = assert_problem(answer, 403, "forbidden")
        assert access.lowest_role(permission) in problem["detail"]


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "path", "permission"), ENDPOINTS)
def test_nobody_gets_in_without_a_token(nobody: Api, method: str, path: str, permission: str) -> None:
    assert_problem(nobody.raw(path, b"", content_type="", method=method), 401, "unauthenticated")
