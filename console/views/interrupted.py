"""Forms that met a session that was over: what was typed is carried through signing in, and back.

The fields travel in the sign-in page itself, encrypted: nothing is stored, and whoever reads that page reads
nothing. They are given back to the same name only. Passwords and secrets are never carried; files cannot be.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme

from console.forms.sign_in import SignInForm

PERSON_COOKIE: Final = "person"  # signed; who was signed in here last
_KEPT_S: Final = 12 * 3600
_MOST_CHARS: Final = 3_000_000
_NOT_CARRIED: Final = ("csrfmiddlewaretoken",)


@dataclass(frozen=True)
class Carried:
    """A form as it was sent: to `path`, from `page`, by `person` (empty: not known)."""

    path: str
    page: str
    fields: tuple[tuple[str, str], ...]
    files: bool
    person: str


def ask_to_sign_in(request: HttpRequest) -> HttpResponse:
    """Show the sign-in page with what was sent in it, instead of losing it in a redirect."""
    carried = read(request)
    context = {
        "form": SignInForm(request),
        "next": carried.page,
        "carried": pack(carried),
        "too_much": not fits(carried),
    }
    answer = render(request, "session/sign_in.html", context, status=401)
    answer["Cache-Control"] = "no-store"
    return answer


def show_again(request: HttpRequest, carried: Carried, *, why: str, status: int = 200) -> HttpResponse:
    """Show a form that was not accepted, filled as it was: scripts put it back into its own page."""
    answer = render(request, "session/resume.html", {"carried": carried, "why": why}, status=status)
    answer["Cache-Control"] = "no-store"
    return answer


def read(request: HttpRequest) -> Carried:
    """Read what a request wanted to send."""
    fields = tuple(
        (name, str(value))
        for name, values in request.POST.lists()
        if name not in _NOT_CARRIED and "password" not in name and not name.startswith("secret.")
        for value in values
    )
    path = request.get_full_path()
    return Carried(
        path=path,
        page=_page_of(request) or path,
        fields=fields,
        files=bool(request.FILES),
        person=request.get_signed_cookie(PERSON_COOKIE, default="") or "",
    )


def is_ours(request: HttpRequest) -> bool:
    """Say whether a page of ours sent this: only then may its fields be shown again to be confirmed."""
    origin = request.headers.get("Origin", "")
    return bool(origin) and urlsplit(origin).netloc == request.get_host()


def fits(carried: Carried) -> bool:
    """Say whether it can be carried at all."""
    return sum(len(name) + len(value) for name, value in carried.fields) <= _MOST_CHARS


def pack(carried: Carried) -> str:
    """Encrypt a form for its way through the sign-in page; nothing where it is too large."""
    if not carried.fields or not fits(carried):
        return ""
    return _cipher().encrypt(json.dumps(asdict(carried)).encode()).decode()


def unpack(text: str, *, person: str) -> Carried | None:
    """Read a carried form back; None where it is not ours, too old, or was somebody else's."""
    if not text:
        return None
    try:
        held: dict[str, Any] = json.loads(_cipher().decrypt(text.encode(), ttl=_KEPT_S))
    except (InvalidToken, ValueError):
        return None
    carried = Carried(**{**held, "fields": tuple((name, value) for name, value in held["fields"])})
    return carried if carried.person in ("", person) else None


def _page_of(request: HttpRequest) -> str:
    """The page that the form stands on, if it is one of ours."""
    came_from = request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(came_from, allowed_hosts={request.get_host()}):
        return ""
    parts = urlsplit(came_from)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _cipher() -> Fernet:
    key = hashlib.blake2b(settings.SECRET_KEY.encode(), digest_size=32, person=b"interrupted").digest()
    return Fernet(base64.urlsafe_b64encode(key))
