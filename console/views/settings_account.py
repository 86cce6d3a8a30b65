"""One's own account: time zone, password, sessions; and how this browser shows the console."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from console import formats, members, preferences, time_zones
from console.access import requires
from console.actors import actor_of
from console.forms.settings_forms import OwnPasswordForm
from console.models import User
from console.views.settings_frame import answer, ask, person_of, show


@requires("console.use")
def account(request: HttpRequest) -> HttpResponse:
    """Show one's own account."""
    return _account(request, person_of(request))


def _account(request: HttpRequest, person: User, *, problem: str = "", chosen: str = "") -> HttpResponse:
    context = {
        "person": person,
        "regions": time_zones.by_region(),
        "chosen": chosen or person.time_zone,
        "now": f"{formats.instant(timezone.now())} {formats.offset(timezone.now())}",
        "problem": problem,
    }
    return show(request, "account", context, status=422 if problem else 200)


@requires("console.use")
@require_POST
def set_time_zone(request: HttpRequest) -> HttpResponse:
    """Show times in another zone from now on."""
    person, name = person_of(request), request.POST.get("time_zone", "")
    if not time_zones.is_known(name):
        return _account(request, person, problem="Choose a time zone of the list.", chosen=name)
    members.set_time_zone(person, name)
    messages.success(request, f"Times are shown in {name}.")
    return HttpResponseRedirect(reverse("settings"))


@sensitive_post_parameters()
@requires("console.use")
def own_password(request: HttpRequest) -> HttpResponse:
    """Change one's own password; the first sign-in with a one-time password leads here."""
    person = person_of(request)
    form = OwnPasswordForm(person, request.POST or None)
    if request.method == "POST" and form.is_valid():
        members.choose_password(person, form.cleaned_data["new_password1"], actor=actor_of(request))
        update_session_auth_hash(request, person)
        messages.success(request, "Your password is changed. Other browsers of yours are signed out.")
        return HttpResponseRedirect(reverse("settings"))
    context = {"form": form, "first": person.password_temporary}
    return show(request, "password", context, status=422 if form.errors else 200)


own_password.before_own_password = True  # type: ignore[attr-defined]  # where the middleware leads to


@requires("console.use")
def sign_out_everywhere(request: HttpRequest) -> HttpResponse:
    """Ask, then end every session of one's own but this one."""
    if request.method != "POST":
        part = "settings/_sign_out_everywhere.html"
        return ask(request, part, {"title": "Sign out everywhere else", "back": reverse("settings")})
    person = person_of(request)
    members.end_sessions(person, actor=actor_of(request))
    update_session_auth_hash(request, person)
    messages.success(request, "Every other browser of yours is signed out.")
    return answer(request, reverse("settings"))


@requires("console.use")
def appearance(request: HttpRequest) -> HttpResponse:
    """Show what this browser can be told; `session.appearance` keeps it."""
    chosen = {each.name: preferences.read(request, each) for each in preferences.ALL}
    return show(request, "appearance", {"chosen": chosen})
