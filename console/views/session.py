"""Signing in and out, and the theme of this browser."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from console import access
from console.context import THEME_COOKIE, THEMES

_YEAR_S = 365 * 24 * 3600


class SignInForm(AuthenticationForm):
    """Name and password; says the same for a wrong name as for a wrong password."""

    error_messages = {
        "invalid_login": "This name and password do not belong together. Check both and try again.",
        "inactive": "This account is switched off. Ask an admin.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "Name"
        for field in self.fields.values():
            field.widget.attrs["class"] = "input"


sign_in = access.public(
    LoginView.as_view(
        template_name="session/sign_in.html",
        authentication_form=SignInForm,
        redirect_authenticated_user=True,
    )
)
sign_out = access.public(LogoutView.as_view(next_page=settings.LOGIN_URL, http_method_names=["post"]))


@access.public
@require_POST
def appearance(request: HttpRequest) -> HttpResponse:
    """Remember the theme in a cookie, so that the server draws the right one at once."""
    target = request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(target, allowed_hosts=None):
        target = "/"
    response = HttpResponseRedirect(target)
    theme = request.POST.get("theme", "")
    if theme in THEMES:
        response.set_cookie(THEME_COOKIE, theme, max_age=_YEAR_S, samesite="Lax", secure=request.is_secure())
    return response
