"""Roles and permissions."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from console import access
from console.models import Role


def test_a_higher_role_may_all_that_a_lower_one_may() -> None:
    for permission in access.LOWEST_ROLE:
        allowed = [access.may(role, permission) for role in access.ORDER]
        assert allowed == sorted(allowed)
        assert access.may(Role.ADMIN, permission)


def test_nobody_in_particular_may_nothing() -> None:
    for role in (None, "", "root"):
        assert not any(access.may(role, permission) for permission in access.LOWEST_ROLE)


def test_every_permission_can_be_refused_in_words() -> None:
    for permission in access.LOWEST_ROLE:
        assert access.DEED[permission] in access.refusal("viewer", permission)
    assert access.refusal("viewer", "runs.cancel") == (
        "Cancelling a run needs the role operator or higher; yours is viewer. Ask an admin for it."
    )


def test_an_unknown_permission_is_an_error_at_once() -> None:
    with pytest.raises(ImproperlyConfigured, match="known are"):
        access.requires("runs.destroy")
    with pytest.raises(ImproperlyConfigured, match="known are"):
        access.permission_class(read="runs.view", write="runs.destroy")
