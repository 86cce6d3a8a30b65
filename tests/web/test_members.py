"""Members: who may do what to whom, what is shown once, and that one admin always stays."""

from __future__ import annotations

import contextlib
import re
import threading

import pytest
from django.contrib.auth.models import Group
from django.test import Client, RequestFactory
from pytest_django import DjangoAssertNumQueries

from console import groups, members
from console.models import Role, User
from tests import factories
from tests.threads import DatabaseThread
from workflows.actor import Actor
from workflows.models import AuditEntry

pytestmark = pytest.mark.django_db
ANNA = Actor(kind="user", name="anna")


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(factories.user(Role.ADMIN, "anna"))
    return client


def _password(page: bytes) -> str:
    found = re.search(r'aria-label="Password">([^<]+)<', page.decode())
    assert found
    return found[1]


def test_a_new_member_signs_in_with_the_one_time_password_and_chooses_another(admin: Client) -> None:
    page = admin.post("/settings/members/", {"name": "otto", "role": "operator"})
    assert page["Cache-Control"] == "no-store"
    password = _password(page.content)
    assert password.encode() not in admin.get("/settings/members/").content
    otto = Client()
    otto.post("/sign-in/", {"username": "otto", "password": password})
    assert otto.get("/runs/")["Location"] == "/settings/password/"
    assert otto.get("/runs/", headers={"HX-Request": "true"})["HX-Redirect"] == "/settings/password/"
    chosen = {"old_password": password, "new_password1": "a password of my own"}
    assert otto.post("/settings/password/", {**chosen, "new_password2": "another"}).status_code == 422
    otto.post("/settings/password/", {**chosen, "new_password2": "a password of my own"})
    assert otto.get("/runs/").status_code == 200
    assert not User.objects.get(username="otto").password_temporary


def test_passwords_are_never_written_into_the_audit_log(admin: Client) -> None:
    password = _password(admin.post("/settings/members/", {"name": "otto", "role": "viewer"}).content)
    entry = AuditEntry.objects.get(action="member.add")
    assert (entry.actor, entry.object_id, entry.data) == ("anna", "otto", {"role": "viewer"})
    assert password not in str(list(AuditEntry.objects.values()))


@pytest.mark.parametrize(
    ("name", "says"),
    [("anna", "already"), ("", "required"), ("with space", "no spaces"), ("x" * 61, "at most 60")],
)
def test_a_name_that_cannot_be_is_refused_and_kept_in_the_form(admin: Client, name: str, says: str) -> None:
    page = admin.post("/settings/members/", {"name": name, "role": "editor"})
    assert page.status_code == 422
    assert says in page.content.decode()
    assert f'value="{name}"' in page.content.decode() or not name
    assert '<option value="editor" selected>' in page.content.decode()


def test_a_role_is_changed_and_written_down(admin: Client) -> None:
    otto = factories.user(Role.OPERATOR, "otto")
    admin.post(f"/settings/members/{otto.pk}/role/", {"role": "editor"})
    otto.refresh_from_db()
    assert otto.role == Role.EDITOR
    assert AuditEntry.objects.get(action="member.role").data == {"role": "editor", "before": "operator"}
    admin.post(f"/settings/members/{otto.pk}/role/", {"role": "editor"})
    assert AuditEntry.objects.filter(action="member.role").count() == 1


def test_an_unknown_role_is_refused(admin: Client) -> None:
    otto = factories.user(Role.OPERATOR, "otto")
    page = admin.post(f"/settings/members/{otto.pk}/role/", {"role": "owner"})
    assert page.status_code == 409
    assert "is no role" in page.content.decode()


def test_nobody_changes_their_own_role_or_switches_themselves_off(admin: Client) -> None:
    anna = User.objects.get(username="anna")
    factories.user(Role.ADMIN, "berta")
    assert admin.post(f"/settings/members/{anna.pk}/role/", {"role": "viewer"}).status_code == 409
    page = admin.post(f"/settings/members/{anna.pk}/off/")
    assert page.status_code == 409
    assert "yourself" in page.content.decode()
    anna.refresh_from_db()
    assert (anna.role, anna.is_active) == (Role.ADMIN, True)


def test_the_last_admin_stays() -> None:
    anna = factories.user(Role.ADMIN, "anna")
    cli = Actor(kind="system", name="cli:root")
    with pytest.raises(members.MemberError, match="the last admin"):
        members.set_role(anna, Role.EDITOR, actor=cli)
    with pytest.raises(members.MemberError, match="the last admin"):
        members.switch_off(anna, actor=cli)
    berta = factories.user(Role.ADMIN, "berta")
    members.switch_off(anna, actor=Actor(kind="user", name="berta"))
    with pytest.raises(members.MemberError, match="the last admin"):
        members.set_role(berta, Role.VIEWER, actor=cli)


@pytest.mark.django_db(transaction=True)
def test_two_admins_who_remove_each_other_at_once_leave_one() -> None:
    people = [factories.user(Role.ADMIN, name) for name in ("anna", "berta")]
    start = threading.Barrier(2)

    def remove(me: int) -> None:
        start.wait()
        with contextlib.suppress(members.MemberError):
            members.switch_off(people[1 - me], actor=Actor(kind="user", name=people[me].username))

    threads = [DatabaseThread(target=remove, args=(me,)) for me in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert User.objects.filter(role=Role.ADMIN, is_active=True).count() == 1


def test_switching_off_signs_out_at_once_and_can_be_undone(admin: Client) -> None:
    otto = factories.user(Role.OPERATOR, "otto")
    theirs = Client()
    theirs.force_login(otto)
    assert b"Switch off otto?" in admin.get(f"/settings/members/{otto.pk}/off/").content
    answer = admin.post(
        f"/settings/members/{otto.pk}/off/", {"reason": "left"}, headers={"HX-Request": "true"}
    )
    assert answer["HX-Redirect"] == "/settings/members/"
    assert theirs.get("/runs/").status_code == 302
    assert AuditEntry.objects.get(action="member.switch_off").reason == "left"
    page = admin.get("/settings/members/").content.decode()
    assert f'action="/settings/members/{otto.pk}/on/"' in page
    admin.post(f"/settings/members/{otto.pk}/on/")
    otto.refresh_from_db()
    assert otto.is_active


def test_a_reset_password_replaces_the_old_one_and_ends_the_sessions(admin: Client) -> None:
    otto = factories.user(Role.OPERATOR, "otto", password=factories.PASSWORD)
    theirs = Client()
    theirs.force_login(otto)
    assert b"New password for otto?" in admin.get(f"/settings/members/{otto.pk}/password/").content
    password = _password(admin.post(f"/settings/members/{otto.pk}/password/").content)
    assert theirs.get("/runs/").status_code == 302
    otto.refresh_from_db()
    assert otto.check_password(password)
    assert otto.password_temporary


def test_signing_out_everywhere_keeps_this_browser(client: Client) -> None:
    otto = factories.user(Role.VIEWER, "otto")
    other = Client()
    other.force_login(otto)
    client.force_login(otto)
    assert b"everywhere else?" in client.get("/settings/sign-out/").content
    client.post("/settings/sign-out/")
    assert client.get("/runs/").status_code == 200
    assert other.get("/runs/").status_code == 302
    assert AuditEntry.objects.get().action == "member.sign_out"


def test_ones_own_password_needs_the_old_one(client: Client) -> None:
    client.force_login(factories.user(Role.VIEWER, "otto", password=factories.PASSWORD))
    new = {"new_password1": "a password of my own", "new_password2": "a password of my own"}
    page = client.post("/settings/password/", {"old_password": "wrong", **new})
    assert b"not your present password" in page.content
    page = client.post("/settings/password/", {"old_password": factories.PASSWORD, **new})
    assert page["Location"] == "/settings/"
    assert client.get("/runs/").status_code == 200


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.EDITOR])
def test_others_can_do_none_of_it(client: Client, role: str) -> None:
    otto = factories.user(Role.VIEWER, "otto")
    client.force_login(factories.user(role, "nosy"))
    for path in ("", f"{otto.pk}/role/", f"{otto.pk}/off/", f"{otto.pk}/on/", f"{otto.pk}/password/"):
        answer = client.post(f"/settings/members/{path}", {"name": "x", "role": "admin"})
        assert answer.status_code == 403
        assert b"needs the role admin" in answer.content
    assert b"API tokens" not in client.get("/settings/").content
    assert User.objects.count() == 2


def test_a_member_who_is_not_there_is_404(admin: Client) -> None:
    assert admin.get("/settings/members/987654/off/").status_code == 404


def test_the_list_takes_four_queries_however_many(
    admin: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    User.objects.bulk_create(User(username=f"person-{number}", role="viewer") for number in range(200))
    with django_assert_num_queries(4):  # session, person, members, their groups
        assert b"person-199" in admin.get("/settings/members/").content


# --- groups


def test_groups_are_shown_and_changed_and_written_down(admin: Client) -> None:
    otto = factories.user(Role.OPERATOR, "otto")
    address = f"/settings/members/{otto.pk}/groups/"
    assert "a name makes one" in admin.get(address).content.decode()
    assert admin.post(address, {"groups": " legal,finance , legal,,"})["Location"] == "/settings/members/"
    page = admin.get("/settings/members/").content.decode()
    assert ">finance, legal</span>" in page
    assert 'value="finance, legal"' in admin.get(address).content.decode()
    admin.post(address, {"groups": "finance, legal"})  # nothing changes, nothing is written down
    admin.post(address, {"groups": "legal"})
    entries = AuditEntry.objects.filter(action="member.groups").order_by("id")
    assert [entry.data for entry in entries] == [
        {"groups": ["finance", "legal"], "before": []},
        {"groups": ["legal"], "before": ["finance", "legal"]},
    ]
    assert list(Group.objects.values_list("name", flat=True)) == ["legal"]


def test_whoever_is_in_the_group_decides_what_asks_it(admin: Client) -> None:
    otto = factories.user(Role.OPERATOR, "otto")
    members.set_groups(otto, ["finance"], actor=ANNA)
    request = RequestFactory().get("/")
    request.user = otto
    own = {"viewer", "viewers", "operator", "operators"}
    assert (groups.groups_of(request) or set()) - own == {"finance"}


@pytest.mark.parametrize(
    ("typed", "says"),
    [("editors", "comes with the role"), ("x" * 151, "at most 150"), ("a\nb\x07", "on one line")],
)
def test_groups_that_cannot_be_are_refused_in_words(admin: Client, typed: str, says: str) -> None:
    otto = factories.user(Role.OPERATOR, "otto")
    answer = admin.post(f"/settings/members/{otto.pk}/groups/", {"groups": typed})
    assert answer.status_code == 409
    assert says in answer.content.decode()
    assert not Group.objects.exists()


def test_the_list_takes_the_same_queries_however_many_groups(
    admin: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for n in range(5):
        members.set_groups(factories.user(Role.OPERATOR, f"m{n}"), [f"g{n}", "all"], actor=ANNA)
    with django_assert_num_queries(4):  # session, person, members, their groups
        admin.get("/settings/members/")
