"""Roles and permissions: who may do what. The only place that knows.

Every view names its permission with `@requires("runs.cancel")`, every API view with `permission_class(...)`;
`AccessMiddleware` refuses a view that names none. It may not look at the state of what is acted upon: whether
a run *can* be cancelled is the business of `workflows`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.views import APIView

from console.models import Role

if TYPE_CHECKING:
    from django.http import HttpRequest
    from rest_framework.request import Request

ORDER: Final = (Role.VIEWER, Role.OPERATOR, Role.EDITOR, Role.ADMIN)

# Each permission with the lowest role that has it; every higher role has it too.
LOWEST_ROLE: Final[dict[str, Role]] = {
    "console.use": Role.VIEWER,
    "runs.view": Role.VIEWER,
    "definitions.view": Role.VIEWER,
    "corpora.view": Role.VIEWER,
    "runs.start": Role.OPERATOR,
    "runs.cancel": Role.OPERATOR,
    "runs.retry": Role.OPERATOR,
    "runs.pause": Role.OPERATOR,
    "runs.signal": Role.OPERATOR,
    "approvals.decide": Role.OPERATOR,
    "memory.view": Role.VIEWER,
    "memory.write": Role.OPERATOR,
    "pauses.manage": Role.OPERATOR,
    "runs.resolve": Role.OPERATOR,
    "quarantines.manage": Role.OPERATOR,
    "schedules.lead": Role.OPERATOR,
    "webhooks.send": Role.OPERATOR,
    "audit.view": Role.OPERATOR,
    "rollouts.stop": Role.OPERATOR,
    "definitions.apply": Role.EDITOR,
    "releases.deploy": Role.EDITOR,
    "prompts.try": Role.EDITOR,
    "corpora.ingest": Role.EDITOR,
    "corpora.publish": Role.EDITOR,
    "tokens.manage": Role.ADMIN,
    "members.manage": Role.ADMIN,
    "console.style": Role.ADMIN,
}

# What each permission is called in a sentence that says who may.
DEED: Final[dict[str, str]] = {
    "console.use": "Using the console",
    "runs.view": "Looking at runs",
    "definitions.view": "Looking at definitions",
    "corpora.view": "Looking at corpora",
    "runs.start": "Starting a run",
    "runs.cancel": "Cancelling a run",
    "runs.retry": "Retrying a run",
    "runs.pause": "Pausing or resuming a run",
    "runs.signal": "Sending a signal to a run",
    "approvals.decide": "Deciding an approval",
    "memory.view": "Looking at memory",
    "memory.write": "Changing memory",
    "pauses.manage": "Pausing workflows and environments",
    "runs.resolve": "Settling a step",
    "quarantines.manage": "Quarantining or releasing a piece of state",
    "schedules.lead": "Pausing and firing schedules",
    "webhooks.send": "Sending to webhooks",
    "audit.view": "Reading the audit log",
    "rollouts.stop": "Pausing and aborting rollouts",
    "definitions.apply": "Applying definitions",
    "releases.deploy": "Deploying and promoting releases",
    "prompts.try": "Calling a model with a prompt",
    "corpora.ingest": "Adding documents",
    "corpora.publish": "Publishing a snapshot",
    "tokens.manage": "Managing API tokens",
    "members.manage": "Managing members",
    "console.style": "Looking at the style page",
}

View = TypeVar("View", bound=Callable[..., Any])


def lowest_role(permission: str) -> Role:
    """Return the lowest role that has the permission. Raises: ImproperlyConfigured for an unknown one."""
    try:
        return LOWEST_ROLE[permission]
    except KeyError:
        known = ", ".join(LOWEST_ROLE)
        raise ImproperlyConfigured(f"{permission!r} is no permission; known are {known}.") from None


def may(role: str | None, permission: str) -> bool:
    """Say whether somebody with this role has the permission; nobody in particular has none."""
    needed = ORDER.index(lowest_role(permission))
    return role in ORDER and ORDER.index(Role(role)) >= needed


def refusal(role: str | None, permission: str) -> str:
    """Say why it is refused and who may."""
    allowed = ORDER[ORDER.index(lowest_role(permission)) :]
    names = allowed[0] if len(allowed) == 1 else f"{allowed[0]} or higher"
    return f"{DEED[permission]} needs the role {names}; yours is {role or 'none'}. Ask an admin for it."


def role_of(request: HttpRequest | Request) -> str | None:
    """Return the role of who asks: the API token's where there is one, else the signed-in person's."""
    role = getattr(getattr(request, "auth", None), "role", None) or getattr(request.user, "role", None)
    return str(role) if role else None


def requires(permission: str) -> Callable[[View], View]:
    """Name the permission of a view; `AccessMiddleware` checks it before the view runs."""
    lowest_role(permission)

    def mark(view: View) -> View:
        view.permission = permission  # type: ignore[attr-defined]
        return view

    return mark


def public(view: View) -> View:
    """Open a view to people who have not signed in."""
    view.permission = None  # type: ignore[attr-defined]
    return view


def check(request: HttpRequest | Request, permission: str) -> None:
    """Raise PermissionDenied, saying who may, unless whoever asks has the permission."""
    role = role_of(request)
    if not may(role, permission):
        raise PermissionDenied(refusal(role, permission))


class RolePermission(BasePermission):
    """Checks an API view's permission; made by `permission_class`."""

    read: str
    write: str

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Say whether the role allows this method."""
        permission = self.read if request.method in SAFE_METHODS else self.write
        role = role_of(request)
        self.message = refusal(role, permission)
        return may(role, permission)


def permission_class(read: str, write: str | None = None) -> type[RolePermission]:
    """Make the permission class of an API view: one permission for reading, another for changing."""
    lowest_role(read)
    lowest_role(write or read)
    return type("RolePermission", (RolePermission,), {"read": read, "write": write or read})


def is_public(view: Callable[..., Any]) -> bool:
    """Say whether the view opted out of signing in."""
    return getattr(view, "permission", "") is None


def is_api(view: Callable[..., Any]) -> bool:
    """Say whether the REST framework checks this view itself."""
    cls = getattr(view, "cls", None)
    return isinstance(cls, type) and issubclass(cls, APIView)
