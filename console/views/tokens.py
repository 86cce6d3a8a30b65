"""API tokens: listed, made, revoked. A secret is shown in the answer that makes it, and never again."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from console.access import requires
from console.actors import actor_of
from console.api import tokens
from console.forms.settings_forms import TokenForm
from console.models import ApiToken
from console.views.settings_frame import answer, ask, show

_SHOWN = 500


@requires("tokens.manage")
def index(request: HttpRequest) -> HttpResponse:
    """List the tokens, and make one."""
    form = TokenForm(request.POST or None)
    if request.method != "POST":
        return _list(request, form)
    if not form.is_valid():
        return _list(request, form, status=422)
    now = timezone.now()
    try:
        made = tokens.create(
            form.cleaned_data["name"],
            role=form.cleaned_data["role"],
            expires_at=form.expires_at(now),
            actor=actor_of(request),
            now=now,
        )
    except tokens.TokenInvalidError as problem:
        form.add_error("name", str(problem))
        return _list(request, form, status=422)
    # Not a redirect: the secret is in this one answer and nowhere else.
    return _list(request, TokenForm(), created=made)


def _list(
    request: HttpRequest, form: TokenForm, *, created: tokens.Created | None = None, status: int = 200
) -> HttpResponse:
    now = timezone.now()
    found = ApiToken.objects.order_by("-created_at", "-pk")
    rows = [{"token": token, "state": _state(token)} for token in found[: _SHOWN + 1]]
    context = {
        "form": form,
        "created": created,
        "rows": rows[:_SHOWN],
        "more": len(rows) > _SHOWN,
        "now": now,
    }
    page = show(request, "tokens", context, status=status)
    if created:
        page["Cache-Control"] = "no-store"
    return page


def _state(token: ApiToken) -> str:
    """Say whether it lets anybody in."""
    if token.revoked_at:
        return "revoked"
    if token.expires_at and token.expires_at <= timezone.now():
        return "expired"
    return "valid"


@requires("tokens.manage")
def revoke(request: HttpRequest, token_id: int) -> HttpResponse:
    """Ask, then revoke a token."""
    token = ApiToken.objects.filter(pk=token_id).first()
    if token is None:
        raise Http404("There is no such token.")
    context = {"token": token, "title": f"Revoke {token.name}", "back": reverse("tokens")}
    if request.method != "POST":
        return ask(request, "settings/_revoke.html", context)
    if tokens.revoke(token, actor=actor_of(request), now=timezone.now()):
        messages.success(request, f"The token {token.name} is revoked.")
    else:
        messages.info(request, f"The token {token.name} was revoked before.")
    return answer(request, reverse("tokens"))
