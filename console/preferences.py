"""What one browser remembers of how the console should look: cookies, so that the server draws it at once.

Reads the request only, never the database.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

_YEAR_S: Final = 365 * 24 * 3600


@dataclass(frozen=True)
class Preference:
    """One cookie with the values that it may have; the first is what holds without it."""

    name: str
    values: tuple[str, ...]


THEME: Final = Preference("theme", ("system", "light", "dark"))
DENSITY: Final = Preference("density", ("normal", "compact", "roomy"))
SHORTCUTS: Final = Preference("shortcuts", ("on", "off"))
SIDEBAR: Final = Preference("sidebar", ("wide", "narrow"))
ALL: Final = (THEME, DENSITY, SHORTCUTS, SIDEBAR)


def read(request: HttpRequest, preference: Preference) -> str:
    """Return what this browser chose."""
    value = request.COOKIES.get(preference.name, "")
    return value if value in preference.values else preference.values[0]


def remember(request: HttpRequest, response: HttpResponse) -> None:
    """Keep every preference that a form sent; what is no value of one is left out."""
    for preference in ALL:
        value = request.POST.get(preference.name, "")
        if value in preference.values:
            write(request, response, preference, value)


def write(request: HttpRequest, response: HttpResponseBase, preference: Preference, value: str) -> None:
    """Keep one preference for a year. Scripts of the page read it too."""
    response.set_cookie(
        preference.name, value, max_age=_YEAR_S, samesite="Lax", secure=request.is_secure(), httponly=False
    )
