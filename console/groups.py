"""Which groups somebody belongs to when an approval asks one: their role and those below it, and groups by name.

`operator` and `operators` both mean whoever may do what an operator may. Admins may decide anything.
"""

from __future__ import annotations

from typing import Final

from django.contrib.auth.models import Group
from django.http import HttpRequest
from rest_framework.request import Request

from console import access
from console.models import Role, User
from workflows.models import Approval

_ASKED: Final = 1_000  # of the newest open approvals


def known() -> list[str]:
    """List the groups that somebody is in, or that an open approval asks, in order."""
    asked = Approval.objects.filter(closed_at=None).exclude(group="").values_list("group", flat=True)
    own = {name for role in Role.values for name in (role, f"{role}s")}
    names = {*Group.objects.values_list("name", flat=True), *asked.order_by("-id")[:_ASKED]}
    return sorted(names - own)


def groups_of(request: HttpRequest | Request) -> frozenset[str] | None:
    """Return the groups of who asks; None: they may decide whatever group is asked."""
    role = access.role_of(request)
    if role == Role.ADMIN:
        return None
    below = access.ORDER[: access.ORDER.index(Role(role)) + 1] if role else ()
    names = {name for each in below for name in (each.value, f"{each.value}s")}
    if isinstance(request.user, User):
        names |= set(request.user.groups.values_list("name", flat=True))
    return frozenset(names)
