"""Members: added, given a role, switched off and on, given a password. Knows no HTTP.

Whoever calls has checked that the actor may manage members; what nobody may do to themselves, and that one
admin always stays, is checked here.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F, Q

from console.models import Role, User
from workflows import audit
from workflows.actor import Actor

_NAME_CHARS: Final = 60
_GROUPS: Final = 50
_GROUP_CHARS: Final = 150


class MemberError(Exception):
    """What was asked cannot be done to this member; the message says why and what to do."""


@dataclass(frozen=True)
class Invited:
    """A member with a password that is shown once and kept nowhere."""

    user: User
    password: str


def add(name: str, *, role: str, actor: Actor) -> Invited:
    """Add a member with a one-time password, which they replace when they first sign in.

    Raises:
        MemberError: the name is taken or cannot be one, the role unknown.
    """
    name = name.strip()
    _check_name(name)
    _check_role(role)
    password = _one_time_password()
    try:
        with transaction.atomic():
            user = User.objects.create_user(name, password=password, role=role, password_temporary=True)
            audit.record(actor, "member.add", "member", name, data={"role": role})
    except IntegrityError:
        raise MemberError(f"There is a member named {name} already: choose another name.") from None
    return Invited(user, password)


def set_role(user: User, role: str, *, actor: Actor) -> bool:
    """Give a member another role; false where it is theirs already.

    Raises:
        MemberError: their own role, the last admin's, an unknown one.
    """
    _check_role(role)

    def change(locked: User) -> dict[str, Any] | None:
        if locked.role == role:
            return None
        _refuse_oneself(locked, actor, "Your own role is changed by another admin.")
        _keep_an_admin(locked, role)
        before, locked.role = locked.role, role
        locked.save(update_fields=["role"])
        return {"role": role, "before": before}

    return _change(user, "member.role", change, actor=actor)


def set_groups(user: User, names: Iterable[str], *, actor: Actor) -> bool:
    """Put a member into the groups of these names and no other, those of their role aside; false where they are.

    A group exists while somebody is in it: approvals ask for it by its name.

    Raises:
        MemberError: a name that a role has, that is too long, or too many.
    """
    wanted = _group_names(names)

    def change(locked: User) -> dict[str, Any] | None:
        before = groups_of(locked)
        if before == wanted:
            return None
        locked.groups.set([Group.objects.get_or_create(name=name)[0] for name in wanted])
        Group.objects.filter(user=None, name__in=before).delete()
        return {"groups": wanted, "before": before}

    return _change(user, "member.groups", change, actor=actor)


def groups_of(user: User) -> list[str]:
    """Return the names of a member's groups, in order."""
    return sorted(group.name for group in user.groups.all())


def switch_off(user: User, *, actor: Actor, reason: str = "") -> bool:
    """Keep a member out at once, sessions included; what they did stays under their name.

    Raises:
        MemberError: oneself, or the last admin.
    """

    def change(locked: User) -> dict[str, Any] | None:
        if not locked.is_active:
            return None
        _refuse_oneself(locked, actor, "Another admin can switch you off; you cannot do it yourself.")
        _keep_an_admin(locked, None)
        locked.is_active = False
        locked.session_generation += 1
        locked.save(update_fields=["is_active", "session_generation"])
        return {"role": locked.role}

    return _change(user, "member.switch_off", change, actor=actor, reason=reason)


def switch_on(user: User, *, actor: Actor) -> bool:
    """Let a member in again; false where they were in."""

    def change(locked: User) -> dict[str, Any] | None:
        if locked.is_active:
            return None
        locked.is_active = True
        locked.save(update_fields=["is_active"])
        return {"role": locked.role}

    return _change(user, "member.switch_on", change, actor=actor)


def reset_password(user: User, *, actor: Actor) -> Invited:
    """Give a member a new one-time password; their sessions end.

    Raises:
        MemberError: one's own: that is changed with the old one at hand.
    """
    password = _one_time_password()

    def change(locked: User) -> dict[str, Any]:
        _refuse_oneself(locked, actor, "You change your own password under Account.")
        locked.set_password(password)
        locked.password_temporary = True
        locked.save(update_fields=["password", "password_temporary"])
        return {}

    _change(user, "member.reset_password", change, actor=actor)
    return Invited(user, password)


def choose_password(user: User, password: str, *, actor: Actor) -> None:
    """Set the password that somebody chose for themselves; it was validated. Their other sessions end."""
    with transaction.atomic():
        user.set_password(password)
        user.password_temporary = False
        user.save(update_fields=["password", "password_temporary"])
        audit.record(actor, "member.password", "member", user.username)


def end_sessions(user: User, *, actor: Actor) -> None:
    """Sign somebody out everywhere; the caller keeps the one that asked."""
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(session_generation=F("session_generation") + 1)
        audit.record(actor, "member.sign_out", "member", user.username)
    user.refresh_from_db(fields=["session_generation"])


def set_time_zone(user: User, name: str) -> None:
    """Show times to somebody in another zone; the name was validated. Nobody else is concerned: no audit."""
    user.time_zone = name
    user.save(update_fields=["time_zone"])


def _change(
    user: User,
    action: str,
    change: Callable[[User], dict[str, Any] | None],
    *,
    actor: Actor,
    reason: str = "",
) -> bool:
    """Change one member and write it down, one at a time: two admins must not remove each other."""
    with transaction.atomic():
        # Always in the same order, so that two changes wait for each other instead of deadlocking.
        concerned = User.objects.filter(Q(role=Role.ADMIN, is_active=True) | Q(pk=user.pk))
        locked = {each.pk: each for each in concerned.select_for_update().order_by("pk")}
        if user.pk not in locked:
            raise MemberError(f"{user.username} is no member any more.")
        told = change(locked[user.pk])
        if told is not None:
            audit.record(actor, action, "member", user.username, reason=reason, data=told)
    user.refresh_from_db()
    return told is not None


def _keep_an_admin(user: User, role: str | None) -> None:
    if user.role != Role.ADMIN or not user.is_active or role == Role.ADMIN:
        return
    if not User.objects.filter(role=Role.ADMIN, is_active=True).exclude(pk=user.pk).exists():
        raise MemberError(f"{user.username} is the last admin: give somebody else the role admin first.")


def _refuse_oneself(user: User, actor: Actor, said: str) -> None:
    if actor.kind == "user" and actor.name == user.username:
        raise MemberError(said)


def _check_name(name: str) -> None:
    if not name or len(name) > _NAME_CHARS:
        raise MemberError(f"A name has 1 to {_NAME_CHARS} characters.")
    try:
        User.username_validator(name)
    except ValidationError:
        raise MemberError("A name has letters, digits and @ . + - _ only, no spaces.") from None


def _check_role(role: str) -> None:
    if role not in Role.values:
        raise MemberError(f"{role!r} is no role; known are {', '.join(Role.values)}.")


def _group_names(names: Iterable[str]) -> list[str]:
    wanted = sorted({" ".join(name.split()) for name in names} - {""})
    if len(wanted) > _GROUPS:
        raise MemberError(f"At most {_GROUPS} groups can be given; these are {len(wanted)}.")
    for name in wanted:
        if len(name) > _GROUP_CHARS or not name.isprintable():
            raise MemberError(f"A group's name has at most {_GROUP_CHARS} characters, on one line.")
        if name.removesuffix("s") in Role.values:
            raise MemberError(f"{name} comes with the role of that name: change the role instead.")
    return wanted


def _one_time_password() -> str:
    return secrets.token_urlsafe(12)
