"""Signing in and out, and how this browser shows the console."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from console import access, preferences, sign_ins
from console.forms.sign_in import SignInForm
from console.views import interrupted

_YEAR_S = 365 * 24 * 3600


class SignIn(LoginView):
    """The page; and, asked for by htmx, the form of a dialog over a page whose session ended."""

    template_name = "session/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer; to a dialog without any redirect, which a script could not see."""
        if self._in_place and request.user.is_authenticated:
            return HttpResponse(status=204)
        return super().dispatch(request, *args, **kwargs)

    def get_template_names(self) -> list[str]:
        """Name the page, or the part that fits a dialog."""
        return ["session/_in_place.html"] if self._in_place else [self.template_name]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Keep carrying what was carried: a wrong password loses nothing either."""
        carried = self.request.POST.get("carried", "")
        return {**super().get_context_data(**kwargs), "carried": carried}

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Let them in, and give back the form that was interrupted."""
        carried_text = self.request.POST.get("carried", "")
        answer: HttpResponse = super().form_valid(form)
        person = form.get_user()
        sign_ins.succeeded(self.request, person)
        name = person.get_username()
        if self._in_place:
            answer = HttpResponse(status=204)
        elif carried := interrupted.unpack(carried_text, person=name):
            answer = interrupted.show_again(
                self.request, carried, why="You were signed out before this was sent, so nothing was done."
            )
        elif carried_text:
            messages.warning(self.request, "What was typed before was not yours, or too old; it is dropped.")
        answer.set_signed_cookie(
            interrupted.PERSON_COOKIE,
            name,
            max_age=_YEAR_S,
            httponly=True,
            samesite="Lax",
            secure=self.request.is_secure(),
        )
        return answer

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """Say what is wrong, and write down that it was tried; an empty field is no try."""
        if form.cleaned_data.get("username") and form.cleaned_data.get("password"):
            sign_ins.failed(self.request, form.cleaned_data["username"])
        answer: HttpResponse = super().form_invalid(form)
        return answer

    @property
    def _in_place(self) -> bool:
        return bool(self.request.headers.get("HX-Request"))


sign_in = access.public(SignIn.as_view())
sign_out = access.public(LogoutView.as_view(next_page=settings.LOGIN_URL, http_method_names=["post"]))


@access.public
@require_POST
def appearance(request: HttpRequest) -> HttpResponse:
    """Remember looks in cookies, so that the server draws the right ones at once."""
    target = request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(target, allowed_hosts=None):
        target = "/"
    response = HttpResponseRedirect(target)
    preferences.remember(request, response)
    return response
