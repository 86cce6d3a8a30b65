"""The recovery page and the page of one error group: what they show, who may change what, and what they take."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from tests import example_bulk, example_runs, factories
from workflows.actor import Actor
from workflows.failures import grouping, groups
from workflows.failures.groups import Change
from workflows.models import ErrorGroup, Quarantine, Run

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/recovery/"
FRAGMENT = {"HX-Request": "true", "HX-Target": "recovery"}


def _text(answer: object) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())  # type: ignore[attr-defined]


def _failures(count: int = 3) -> ErrorGroup:
    for number in range(1, count + 1):
        error = {"class": "timeout", "message": f"No answer within {number} s", "step": "answer"}
        factories.run("failed", number=number, title=f"Question {number}", error=error)
    grouping.settle()
    return ErrorGroup.objects.get()


def test_with_nothing_to_recover_it_says_so(operator: Client) -> None:
    text = _text(operator.get(PAGE))
    for told in ("Nothing to recover.", "0 stuck runs", "Nothing is quarantined.", "None yet."):
        assert told in text


def test_failures_are_shown_by_what_went_wrong_and_lead_to_their_recovery(operator: Client) -> None:
    group = _failures()
    page = operator.get(PAGE)
    text = _text(page)
    assert "No answer within 3 s" in text  # the newest one's words, not what all have in common
    assert "No answer within # s" not in text
    assert "docs-assistant answer" in text
    assert " new " in text
    assert (
        f"/runs/bulk/new/?bulk=retry&amp;matching=1&amp;range=all&amp;group={group.pk}"
        in page.content.decode()
    )
    preview = _text(operator.get(f"/runs/bulk/new/?bulk=retry&matching=1&range=all&group={group.pk}"))
    assert "0 of 3 runs will be retried" in preview  # these have no step that failed
    one = _text(operator.get(f"/recovery/errors/{group.pk}/"))
    assert "No answer within 3 s" in one
    assert "alike are all that say No answer within # s" in one


def test_a_group_whose_newest_run_stands_failed_no_more_says_what_all_have_in_common(
    operator: Client,
) -> None:
    _failures(2)
    Run.objects.filter(pk="r_0000000000002").update(error_group=None, error=None, state="running")
    assert "No answer within # s" in _text(operator.get(PAGE))


def test_the_list_of_runs_takes_a_group_and_says_what_is_no_group(operator: Client) -> None:
    group = _failures(2)
    example_runs.failed_run(number=7)
    text = _text(operator.get(f"/runs/?group={group.pk}&range=all"))
    assert "Question 1" in text
    assert "r_0000000000007" not in text
    assert "no number of an error group" in _text(operator.get("/runs/?q=group:x"))
    assert "no number of a quarantine" in _text(operator.get("/runs/?q=taint:x"))


def test_unknown_and_stuck_runs_bulk_actions_and_quarantines_are_there_too(operator: Client) -> None:
    example_runs.unknown_run(number=4)
    factories.many_runs(60, states=("succeeded", "failed"))
    example_bulk.fill()
    text = _text(operator.get(PAGE))
    assert "1 run with an unknown outcome" in text
    assert "Retry 18 runs" in text


def test_somebody_takes_a_group_and_resolves_it(operator: Client) -> None:
    group = _failures()
    address = f"/recovery/errors/{group.pk}/"
    assert "Failures seen" in _text(operator.get(address))
    name = str(operator.session["_auth_user_id"]) and factories.user(name="anna").username
    answer = operator.post(address, {"assigned_to": name, "note": "ask the provider"}, follow=True)
    assert "Saved." in _text(answer)
    assert "ask the provider" in answer.content.decode()
    operator.post(address, {"state": "resolved"})
    group.refresh_from_db()
    assert (group.assigned_to, group.note, group.state) == (name, "ask the provider", "resolved")
    assert "Nothing to recover." in _text(operator.get(PAGE))
    assert "No answer within 3 s" in _text(operator.get(PAGE + "?tab=resolved"))
    assert "Open again" in _text(operator.get(address))
    refused = operator.post(address, {"assigned_to": "ghost", "note": "asked twice"})
    assert refused.status_code == 422
    assert "Nobody of that name" in _text(refused)
    assert "asked twice" in _text(refused)


def test_two_people_who_change_one_group_see_each_other(operator: Client) -> None:
    group = _failures()
    address = f"/recovery/errors/{group.pk}/"
    factories.user(name="anna")
    groups.change(group.pk, Change(note="It is the proxy."), actor=Actor(kind="user", name="anna"))
    sent = {"assigned_to": "anna", "note": "It is <b>DNS</b>.", "revision": str(group.revision)}
    for asked in (sent, {**sent, "state": "resolved"}):
        answer = operator.post(address, asked)
        text = _text(answer)
        assert answer.status_code == 409
        assert "anna changed this" in text
        assert "Theirs: It is the proxy." in text
        assert "anna gave it to nobody" in text
        assert "It is &lt;b&gt;DNS&lt;/b&gt;." in answer.content.decode()
    group.refresh_from_db()
    assert (group.note, group.assigned_to, group.state) == ("It is the proxy.", "", "open")
    [seen] = re.findall(r'name="revision" value="(\d+)"', answer.content.decode())
    assert operator.post(address, {**sent, "revision": seen}).status_code == 302
    group.refresh_from_db()
    assert (group.note, group.assigned_to) == ("It is <b>DNS</b>.", "anna")


def test_who_may_not_retry_sees_all_and_changes_nothing(viewer: Client) -> None:
    group = _failures()
    page = viewer.get(PAGE).content.decode()
    assert "bulk=retry" not in page
    assert 'aria-disabled="true"' in page
    assert b"Save" not in viewer.get(f"/recovery/errors/{group.pk}/").content
    assert viewer.post(f"/recovery/errors/{group.pk}/", {"state": "resolved"}).status_code == 403
    assert ErrorGroup.objects.get().state == "open"


def test_a_poll_without_news_is_answered_in_one_word(operator: Client) -> None:
    _failures()
    first = operator.get(PAGE, headers=FRAGMENT)
    mark = first["HX-PTag"]
    assert operator.get(PAGE, headers={**FRAGMENT, "HX-PTag": mark}).status_code == 304
    Run.objects.filter(pk="r_0000000000001").update(error_group=None, state="succeeded")
    again = operator.get(PAGE, headers={**FRAGMENT, "HX-PTag": mark})
    assert again.status_code == 200
    assert b"<html" not in again.content


def test_many_groups_are_paged(operator: Client) -> None:
    words = [f"{a}{b}" for a in "abcdef" for b in "ghijkl"]
    for number, word in enumerate(words):
        error = {"class": "x", "message": f"no {word}", "step": word}
        factories.run("failed", number=number, error=error)
    grouping.settle()
    first = operator.get(PAGE).content.decode()
    [older] = re.findall(r'href="(\?tab=open&amp;after=[^"]+)"', first)
    second = operator.get(PAGE + older.replace("&amp;", "&")).content.decode()
    seen = [set(re.findall(r'id="(g\d+)"', page)) for page in (first, second)]
    assert (len(seen[0]), len(seen[1]), len(seen[0] & seen[1])) == (30, 6, 0)
    assert operator.get(PAGE + "?after=rubbish&tab=rubbish").status_code == 200


def test_it_takes_the_same_queries_whatever_it_shows(
    operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(40):
        error = {"class": "x", "message": "no", "step": "abcdefghij"[number % 10]}
        factories.run("failed", number=number, error=error)
    grouping.settle()
    # Session and person, grouped, standing (2), groups, counts (2), failed, hours, bulk actions, quarantines (2).
    with django_assert_max_num_queries(13):
        operator.get(PAGE)


def test_what_is_not_there_is_not_found(operator: Client) -> None:
    assert operator.get("/recovery/errors/99/").status_code == 404


def test_text_from_outside_is_shown_as_text(operator: Client) -> None:
    factories.run("failed", number=1, error={"class": "<b>", "message": "<em>\\u0000 hot", "step": "<u>"})
    grouping.settle()
    group = ErrorGroup.objects.get()
    for address in (PAGE, f"/recovery/errors/{group.pk}/"):
        page = operator.get(address).content.decode()
        assert "<em>" not in page
        assert "<u>" not in page
        assert "&lt;em&gt;" in page


def test_quarantines_take_no_further_queries(
    operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    made = factories.release()
    for number in range(5):
        Quarantine.objects.create(
            kind="release", ref=f"{made.workflow}@{number + 1}", reason="bad", created_by="x"
        )
    # As above, and the deployments.
    with django_assert_max_num_queries(14):
        page = operator.get(PAGE)
    assert page.content.decode().count("still live") == 1
