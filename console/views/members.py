"""Members and their roles."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from console import groups as group_names
from console import members
from console.access import requires
from console.actors import actor_of
from console.forms.settings_forms import ROLES, MemberForm
from console.models import User
from console.views.settings_frame import answer, ask, show


@requires("members.manage")
def index(request: HttpRequest) -> HttpResponse:
    """List the members, and add one."""
    form = MemberForm(request.POST or None)
    if request.method != "POST":
        return _list(request, form)
    if not form.is_valid():
        return _list(request, form, status=422)
    try:
        made = members.add(form.cleaned_data["name"], role=form.cleaned_data["role"], actor=actor_of(request))
    except members.MemberError as problem:
        form.add_error("name", str(problem))
        return _list(request, form, status=422)
    # Not a redirect: the password is in this one answer and nowhere else.
    return _list(request, MemberForm(), invited=made)


def _list(
    request: HttpRequest,
    form: MemberForm,
    *,
    invited: members.Invited | None = None,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    context = {
        "form": form,
        "invited": invited,
        "problem": problem,
        "people": [
            {"person": person, "groups": members.groups_of(person)}
            for person in User.objects.order_by("-is_active", "username", "pk").prefetch_related("groups")
        ],
        "roles": ROLES,
    }
    page = show(request, "members", context, status=status)
    if invited:
        page["Cache-Control"] = "no-store"
    return page


@requires("members.manage")
@require_POST
def set_role(request: HttpRequest, member_id: int) -> HttpResponse:
    """Give a member another role."""
    member, role = _find(member_id), request.POST.get("role", "")
    try:
        changed = members.set_role(member, role, actor=actor_of(request))
    except members.MemberError as problem:
        return _list(request, MemberForm(), problem=str(problem), status=409)
    if changed:
        messages.success(request, f"{member.username} is {role} now.")
    return HttpResponseRedirect(reverse("members"))


@requires("members.manage")
def groups(request: HttpRequest, member_id: int) -> HttpResponse:
    """Ask which groups a member belongs to, and put them there."""
    member = _find(member_id)
    context = {
        "member": member,
        "title": f"Groups of {member.username}",
        "back": reverse("members"),
        "names": ", ".join(members.groups_of(member)),
        "known": group_names.known(),
    }
    if request.method != "POST":
        return ask(request, "settings/_groups.html", context)
    typed = request.POST.get("groups", "")
    try:
        changed = members.set_groups(member, typed.split(","), actor=actor_of(request))
    except members.MemberError as problem:
        told = {**context, "problem": str(problem), "names": typed}
        return ask(request, "settings/_groups.html", told, status=409)
    if changed:
        messages.success(request, f"The groups of {member.username} are changed.")
    return answer(request, reverse("members"))


@requires("members.manage")
def switch_off(request: HttpRequest, member_id: int) -> HttpResponse:
    """Ask, then keep a member out."""
    member = _find(member_id)
    context = {"member": member, "title": f"Switch off {member.username}", "back": reverse("members")}
    if request.method != "POST":
        return ask(request, "settings/_switch_off.html", context)
    reason = request.POST.get("reason", "").strip()[:1000]
    try:
        members.switch_off(member, actor=actor_of(request), reason=reason)
    except members.MemberError as problem:
        told = {**context, "problem": str(problem), "reason": reason}
        return ask(request, "settings/_switch_off.html", told, status=409)
    messages.success(request, f"{member.username} is switched off.", extra_tags=_undo("member-on", member))
    return answer(request, reverse("members"))


def _undo(route: str, member: User) -> str:
    """Address the toast's Undo."""
    return reverse(route, args=[member.pk])


@requires("members.manage")
@require_POST
def switch_on(request: HttpRequest, member_id: int) -> HttpResponse:
    """Let a member in again."""
    member = _find(member_id)
    if members.switch_on(member, actor=actor_of(request)):
        messages.success(request, f"{member.username} can sign in again.")
    return answer(request, reverse("members"))


@requires("members.manage")
def reset_password(request: HttpRequest, member_id: int) -> HttpResponse:
    """Ask, then give a member a new one-time password, shown once."""
    member = _find(member_id)
    context = {"member": member, "title": f"New password for {member.username}", "back": reverse("members")}
    if request.method != "POST":
        return ask(request, "settings/_reset_password.html", context)
    try:
        made = members.reset_password(member, actor=actor_of(request))
    except members.MemberError as problem:
        return _list(request, MemberForm(), problem=str(problem), status=409)
    return _list(request, MemberForm(), invited=made)


def _find(member_id: int) -> User:
    member = User.objects.filter(pk=member_id).first()
    if member is None:
        raise Http404("There is no such member.")
    return member
