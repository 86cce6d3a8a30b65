"""The page of a run: head, timeline, inspector, tabs, payloads, polling."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from tests import example_runs, factories
from workflows.models import AuditEntry, JournalEvent, Payload, Run

FRAGMENT = {"HX-Request": "true"}


def test_the_head_says_what_failed_and_what_is_known_about_its_effect(operator: Client) -> None:
    made = example_runs.failed_run()
    page = operator.get(f"/runs/{made.run.id}/").content.decode()
    assert "route/notify</a>" not in page.split('class="alert')[0]
    assert "route/notify failed after 3 attempts" in page
    assert "A retry sends it again under the same idempotency key." in page
    assert "Workers lost" in page


def test_the_timeline_shows_attempts_as_bars_and_lost_ones_apart(operator: Client) -> None:
    made = example_runs.failed_run()
    page = operator.get(f"/runs/{made.run.id}/").content.decode()
    row = page[page.index(f'id="s{made.steps["route/notify"].id}"') :].split('role="row"')[0]
    assert row.count("bar-soft") == 2
    assert row.count("bar-bad") == 1
    assert "bar-lost" in page


def test_the_inspector_opens_at_what_failed(operator: Client) -> None:
    made = example_runs.failed_run()
    page = operator.get(f"/runs/{made.run.id}/").content.decode()
    assert "<h2>route/notify</h2>" in page
    assert "http_status" in page


def test_the_inspector_shows_prompt_output_tokens_and_the_wire(operator: Client) -> None:
    made = example_runs.succeeded_run()
    page = operator.get(f"/runs/{made.run.id}/step/?step=answer", headers=FRAGMENT).content.decode()
    for text in (
        "Answer in two sentences.",  # as rendered
        "Give the class an __iter__ method",
        "Cached <b>120</b>",
        "Request as sent",
        "smollm2-135m-instruct",
        "&lt;$0.001",
        "answer v2",
    ):
        assert text in page, text


def test_an_earlier_attempt_shows_its_own_calls_and_error(operator: Client) -> None:
    made = example_runs.succeeded_run()
    page = operator.get(f"/runs/{made.run.id}/step/?step=answer&attempt=1", headers=FRAGMENT).content.decode()
    assert "The server is busy." in page
    assert "HTTP 503" in page
    assert "503 upstream connect timeout" in page


def test_a_lost_attempt_is_explained(operator: Client) -> None:
    made = example_runs.succeeded_run()
    page = operator.get(
        f"/runs/{made.run.id}/step/?step=classify&attempt=1", headers=FRAGMENT
    ).content.decode()
    assert "The worker was lost" in page
    assert "never answered" in page


def test_a_search_shows_its_passages_with_scores(operator: Client) -> None:
    made = example_runs.succeeded_run()
    for address in (f"/runs/{made.run.id}/step/?step=search", f"/runs/{made.run.id}/?tab=documents"):
        page = operator.get(address).content.decode()
        assert "0.912" in page
        assert "typeiter.txt" in page


@pytest.mark.parametrize("tab", ["", "events", "documents", "io", "cost", "nonsense"])
@pytest.mark.parametrize("example", ["succeeded_run", "failed_run", "running_run", "unknown_run"])
def test_every_tab_of_every_run_can_be_opened(operator: Client, tab: str, example: str) -> None:
    made = getattr(example_runs, example)()
    assert operator.get(f"/runs/{made.run.id}/?tab={tab}").status_code == 200


def test_a_queued_run_without_a_worker_says_what_to_do(operator: Client) -> None:
    made = factories.run("queued")
    assert b"No worker is running." in operator.get(f"/runs/{made.run.id}/").content
    factories.worker()
    assert b"No worker is running." not in operator.get(f"/runs/{made.run.id}/").content


def test_a_deep_link_to_a_folded_item_unfolds_it(operator: Client) -> None:
    made = example_runs.map_run(40)
    page = operator.get(f"/runs/{made.run.id}/?step=each[31]/reply").content.decode()
    row = page[page.index('data-step="each[31]/reply"') :][:300]
    assert 'aria-selected="true"' in row
    assert "hidden" not in row.split(">")[0]


def test_a_map_shows_what_failed_and_folds_the_rest(operator: Client) -> None:
    made = example_runs.map_run(40, failed=[7, 23])
    page = operator.get(f"/runs/{made.run.id}/").content.decode()
    assert "×40, 2 failed, p95 300 ms" in page
    assert "38 other items" in page


def test_a_long_run_is_given_in_parts_and_a_deep_link_is_in_the_first(operator: Client) -> None:
    made = example_runs.map_run(1200)
    page = operator.get(f"/runs/{made.run.id}/?step=each[1150]/reply").content.decode()
    assert 'data-step="each[1150]/reply"' in page
    assert 'data-step="each[500]/reply"' not in page
    assert "/rows/?step=each%5B1150%5D%2Freply&amp;start=" in page
    part = operator.get(f"/runs/{made.run.id}/rows/?step=each[1150]/reply&start=500&stop=700")
    assert part.content.count(b'role="row"') == 200
    assert part.content.count(b"data-far") == 200
    assert operator.get(f"/runs/{made.run.id}/").content.count(b'role="row"') == 1
    opened = f"/runs/{made.run.id}/rows/?open=s{made.steps['each'].id}&start=3000&stop=3600"
    assert operator.get(opened).content.count(b'role="row"') == 600
    for query in ("start=x&stop=y", "start=-1&stop=99999999999", "start=5&stop=2"):
        assert operator.get(f"/runs/{made.run.id}/rows/?{query}").status_code == 200


def test_the_timeline_can_be_filtered(operator: Client) -> None:
    made = example_runs.failed_run()
    rows = operator.get(f"/runs/{made.run.id}/?errors=1&kind=tool").content.decode()
    assert rows.count('role="row"') == 1
    assert b"No steps match" in operator.get(f"/runs/{made.run.id}/?q=zzz").content


def test_a_running_page_polls_and_an_ended_one_does_not(operator: Client) -> None:
    running, ended = example_runs.running_run(), example_runs.succeeded_run()
    assert b"every 2s" in operator.get(f"/runs/{running.run.id}/?tab=events").content
    assert b"every 2s" not in operator.get(f"/runs/{ended.run.id}/").content


def test_a_poll_of_a_waiting_run_is_304_until_something_happens(operator: Client) -> None:
    made = example_runs.unknown_run()
    address = f"/runs/{made.run.id}/"
    mark = {"HX-PTag": operator.get(address)["HX-PTag"], **FRAGMENT}
    assert operator.get(address, headers=mark).status_code == 304
    made.journal("step.reopened", 700)
    answer = operator.get(address, headers=mark)
    assert answer.status_code == 200
    assert answer.content.strip().startswith(b'<div id="run"')


def test_a_poll_of_a_step_is_304_until_it_changes(operator: Client) -> None:
    made = example_runs.running_run()
    address = f"/runs/{made.run.id}/step/?step=answer"
    mark = {"HX-PTag": operator.get(address)["HX-PTag"], **FRAGMENT}
    assert operator.get(address, headers=mark).status_code == 304
    made.call(made.steps["answer"], second=3, number=1)
    assert operator.get(address, headers=mark).status_code == 200


def test_a_missing_payload_hides_nothing_else(operator: Client) -> None:
    only_here = {"question": "Asked in this test alone?"}
    made = factories.run(asked=only_here, gave=only_here)
    made.step("answer", "prompt", tries=[(0, 1, "succeeded")], asked=only_here, gave={"text": str(only_here)})
    made.step(
        "search", "retrieve", tries=[(1, 2, "succeeded")], asked=only_here, gave={"chunks": [only_here]}
    )
    Payload.objects.all().delete()
    for address in ("", "?tab=io", "?tab=documents", "?tab=cost", "?step=answer", "step/?step=search"):
        assert operator.get(f"/runs/{made.run.id}/{address}").status_code == 200
    assert b"not stored any more" in operator.get(f"/runs/{made.run.id}/?tab=io").content


def test_a_large_payload_shows_its_beginning_and_the_way_to_the_rest(operator: Client) -> None:
    made = factories.run(asked={"question": "x" * 200_000})
    page = operator.get(f"/runs/{made.run.id}/?tab=io").content
    assert len(page) < 40_000
    assert b"Load all 200.0 KB" in page
    key = bytes(Run.objects.get(id=made.run.id).input_hash).hex()
    whole = operator.get(f"/runs/{made.run.id}/payloads/{key}/")
    assert whole["Content-Type"] == "application/json"
    assert len(whole.content) > 200_000


def test_a_payload_of_another_run_is_not_given(operator: Client) -> None:
    mine, other = factories.run(), factories.run(asked={"question": "other"})
    key = bytes(Run.objects.get(id=other.run.id).input_hash).hex()
    assert operator.get(f"/runs/{mine.run.id}/payloads/{key}/").status_code == 404
    for wrong in ("x", "g" * 64, "0" * 63):
        assert operator.get(f"/runs/{mine.run.id}/payloads/{wrong}/").status_code == 404


def test_hostile_text_is_shown_as_text_everywhere(operator: Client) -> None:
    evil = '"><script>alert(1)</script>\x00\ud800'
    made = factories.run("failed", asked={"question": evil}, gave={"answer": evil})
    step = made.step(
        "answer",
        "prompt",
        tries=[(0.1, 1, "succeeded")],
        asked={"prompt": "answer", "messages": [{"role": "user", "content": evil}, "odd", {"content": [1]}]},
        gave={"text": evil},
    )
    made.call(step, second=0.1, messages=[{"role": "user", "content": evil}])
    for address in ("", "?tab=io", "?tab=events", "?tab=cost", "step/?step=answer"):
        answer = operator.get(f"/runs/{made.run.id}/{address}")
        assert b"<script>alert" not in answer.content, address
        answer.content.decode("utf-8")


@pytest.mark.parametrize("run_id", ["r_nothing", "%00", "x" * 300, "r_%F0%9F%92%A5"])
def test_a_run_that_does_not_exist_is_a_plain_404(operator: Client, run_id: str) -> None:
    for tail in ("", "rows/", "step/?step=x", "cancel/", "retry/", "resolve/", "again/"):
        assert operator.get(f"/runs/{run_id}/{tail}").status_code == 404


def test_a_link_to_a_missing_step_says_so(operator: Client) -> None:
    made = example_runs.succeeded_run()
    assert b"not part of the run" in operator.get(f"/runs/{made.run.id}/?step=gone").content
    assert operator.get(f"/runs/{made.run.id}/step/?step=gone").status_code == 404


def test_the_page_takes_the_same_queries_for_a_long_run(
    operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    short, long = example_runs.map_run(5), example_runs.map_run(300)
    for made in (short, long):
        with django_assert_max_num_queries(18):
            operator.get(f"/runs/{made.run.id}/")


def test_two_steps_that_went_alike_are_two_answers(operator: Client) -> None:
    made = factories.run("succeeded", number=1)
    for path in ("draft", "review"):
        made.step(path, "set", tries=[(0.1, 0.2, "succeeded")], asked={}, gave={"v": 1})
    part = {"HX-Request": "true"}
    first = operator.get(f"/runs/{made.run.id}/step/?step=draft", headers=part)
    other = operator.get(
        f"/runs/{made.run.id}/step/?step=review", headers={**part, "HX-PTag": first["HX-PTag"]}
    )
    assert other.status_code == 200
    assert 'data-shows="review"' in other.content.decode()


@pytest.mark.parametrize("tab", ["", "graph", "events", "io", "cost"])
def test_each_tab_brings_styles_within_the_budget(operator: Client, tab: str) -> None:
    made = example_runs.succeeded_run()
    page = operator.get(f"/runs/{made.run.id}/?tab={tab}").content.decode()
    sheets = re.findall(
        r'<link rel="stylesheet" href="/static/(console/[^"?]+\.css)"(?! media="print")', page
    )
    assert any(name.startswith("console/pages/run") for name in sheets)
    sent = [gzip.compress(Path(finders.find(name) or "").read_bytes(), 9) for name in sheets]
    assert sum(map(len, sent)) <= 12 * 1024


def test_what_a_person_settled_is_marked_with_who_when_and_why(operator: Client) -> None:
    made = example_runs.settled_run()
    page = operator.get(f"/runs/{made.run.id}/?step=notify").content.decode()
    row = page[page.index(f'id="s{made.steps["notify"].id}"') :].split('role="row"')[0]
    assert 'class="answer"' in row
    assert "d.osei supplied the output" in row
    assert "bar-lost" in row  # up to when its worker was lost; what followed was no work
    inspector = page[page.index('id="inspector"') :]
    assert "The channel shows the message of 14:02." in inspector
    entry = AuditEntry.objects.get(action="step.resolve")
    assert f"object={made.run.id}&amp;action=step.resolve#a{entry.pk}" in inspector
    assert "a person said what came of it" in inspector


def test_the_key_of_an_effect_can_be_copied_whole(operator: Client) -> None:
    made = example_runs.settled_run()
    page = operator.get(f"/runs/{made.run.id}/?step=notify").content.decode()
    key = JournalEvent.objects.get(run=made.run, type="step.sending").data["key"]
    assert f'data-copy="{key}"' in page


@pytest.mark.parametrize(("who", "offered"), [("operator", "Settle…"), ("viewer", "Show step")])
def test_a_run_that_waits_for_an_answer_leads_to_it_from_its_banner(
    request: pytest.FixtureRequest, who: str, offered: str
) -> None:
    person: Client = request.getfixturevalue(who)
    made = example_runs.unknown_run()
    page = person.get(f"/runs/{made.run.id}/").content.decode()
    banner = page[page.index('class="alert tone-bad"') :].split("<nav")[0]
    assert offered in banner
