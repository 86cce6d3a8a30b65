"""What a run's page shows beside its timeline, and what leads there: tabs, links, exports, the list around it."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests import example_runs, factories
from workflows.models import JournalEvent, Payload, Run, StepRun


def page(client: Client, made: factories.RunMaker, query: str = "") -> str:
    answer = client.get(f"/runs/{made.run.id}/{query}")
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_link_to_an_event_is_in_the_page_of_a_journal_of_fifty_thousand(operator: Client) -> None:
    made = factories.run()
    JournalEvent.objects.bulk_create(
        [JournalEvent(run=made.run, type="step.progress", step="answer", n=n) for n in range(2, 50_000)],
        batch_size=5000,
    )
    seq = made.run.journal.order_by("seq").values_list("seq", flat=True)[40_000]
    shown = page(operator, made, f"?tab=events&event={seq}")
    assert f'id="e{seq}" class="is-chosen"' in shown
    assert shown.count("<tr id=") == 200
    assert "Earlier</a>" in shown
    assert "Later</a>" in shown
    assert "50,000" not in shown.split('class="tabs"')[0]


def test_events_can_be_narrowed_by_type_and_step_and_paged(operator: Client) -> None:
    made = example_runs.failed_run()
    assert page(operator, made, "?tab=events&type=step.retrying").count("<tr id=") == 4
    assert page(operator, made, "?tab=events&q=notify").count("<tr id=") == 3
    assert "No events match" in page(operator, made, "?tab=events&q=zzz")
    first = made.run.journal.order_by("seq")[0].seq
    assert page(operator, made, f"?tab=events&before={first + 3}").count("<tr id=") == 3
    assert "is not among these" in page(operator, made, "?tab=events&event=1&type=run.failed")


@pytest.mark.parametrize(
    "query", ["event=x", "event=-1", "event=99999999999999999999", "after=x", "before=", "type=%00"]
)
def test_nonsense_in_the_address_of_events_is_left_aside(operator: Client, query: str) -> None:
    page(operator, example_runs.succeeded_run(), f"?tab=events&{query}")


@pytest.mark.parametrize(
    "query", ["from=x", "from=nan&to=inf", "from=9&to=1", "from=-5", "to=1e300", "open=s1&open=x", "list=%00"]
)
def test_nonsense_in_the_address_of_the_timeline_is_left_aside(operator: Client, query: str) -> None:
    assert 'role="row"' in page(operator, example_runs.succeeded_run(), f"?{query}")


def test_a_zoom_leaves_out_what_did_not_run_then(operator: Client) -> None:
    made = example_runs.failed_run()
    shown = page(operator, made, "?from=20&to=40")
    assert "Show the whole run" in shown
    assert 'data-step="route/notify"' in shown
    assert 'data-step="classify"' not in shown
    assert 'data-step="classify"' in page(
        operator, made, "?from=20&to=40&step=classify"
    )  # a deep link shows it


def test_decisions_name_the_condition_that_held(operator: Client) -> None:
    shown = page(operator, example_runs.succeeded_run(), "?tab=decisions")
    assert "input.notify" in shown
    assert "taken" in shown


def test_costs_are_summed_over_the_items_of_a_map(operator: Client) -> None:
    made = example_runs.map_run(6)
    for step in StepRun.objects.filter(run=made.run, step_id="reply"):
        made.call(step, second=1)
    shown = page(operator, made, "?tab=cost")
    assert shown.count("each[…]/reply") == 1
    assert '<td class="is-number">6</td>' in shown


def test_many_searches_are_given_in_parts(
    operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    made = example_runs.map_run(120)
    with django_assert_max_num_queries(16):
        shown = page(operator, made, "?tab=documents")
    assert "1–50</b> of 120" in shown
    assert "51–100</b> of 120" in page(operator, made, "?tab=documents&after=50")


def test_base64_is_shown_as_its_type_and_size(operator: Client) -> None:
    picture = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40).decode()
    shown = page(operator, factories.run(asked={"scan": picture}), "?tab=io")
    assert "image/png, 10.2 KB in base64" in shown
    assert picture[:60] not in shown


def test_a_large_payload_is_neither_read_nor_sent_whole(operator: Client) -> None:
    made = factories.run(asked={"texts": ['Ünïcode \\ " text'] * 200_000})
    shown = page(operator, made, "?tab=io")
    assert len(shown) < 60_000
    assert "Ünïcode" in shown
    key = bytes(Run.objects.get(id=made.run.id).input_hash).hex()
    kept = operator.get(f"/runs/{made.run.id}/payloads/{key}/?as=file")
    assert kept["Content-Disposition"].startswith("attachment")
    assert len(json.loads(kept.content)["texts"]) == 200_000


def test_a_damaged_payload_hides_nothing_else(operator: Client) -> None:
    asked = {"question": "Asked in this test, and damaged then"}
    made = factories.run(asked=asked)
    made.step("answer", "prompt", tries=[(0, 1, "succeeded")], asked=asked, gave={"text": "damaged, too"})
    Payload.objects.update(body=b"\x00not json", compressed=True)
    for query in (
        "",
        "?tab=io",
        "?tab=documents",
        "?tab=decisions",
        "step/?step=answer",
        "markdown/",
        "record/",
    ):
        assert operator.get(f"/runs/{made.run.id}/{query}").status_code == 200, query
    assert "cannot be read" in page(operator, made, "?tab=io")


def test_the_markdown_has_prompts_outputs_errors_and_times_in_utc(operator: Client) -> None:
    made = example_runs.failed_run()
    answer = operator.get(f"/runs/{made.run.id}/markdown/")
    text = answer.content.decode()
    assert answer["Content-Type"] == "text/markdown; charset=utf-8"
    for part in (
        "# How do I make a class iterable?",
        "### route/notify",
        "Answer in two sentences.",
        "> http_status:",
        " UTC",
        "3 attempts",
    ):
        assert part in text, part


def test_the_record_is_one_file_with_everything(operator: Client) -> None:
    made = example_runs.succeeded_run()
    answer = operator.get(f"/runs/{made.run.id}/record/")
    record = answer.json()
    assert answer["Content-Disposition"] == f'attachment; filename="{made.run.id}.json"'
    assert {step["path"] for step in record["steps"]} >= {"classify", "search", "answer", "route/notify"}
    assert record["calls"][0]["request"]["body"]["messages"] == []
    assert len(record["journal"]) == made.run.journal.count()
    assert record["run"]["output"] == {"answer": "Give the class an __iter__ method that returns one."}


def test_the_next_sensible_thing_is_the_first_button(operator: Client, viewer: Client) -> None:
    failed, unknown, ended = (
        example_runs.failed_run(),
        example_runs.unknown_run(),
        example_runs.succeeded_run(),
    )
    assert "Retry notify" in page(operator, failed)
    assert "Settle notify…" in page(operator, unknown)
    assert "Start again" in page(operator, ended)
    assert 'aria-disabled="true"' in page(viewer, failed)


def test_the_list_that_somebody_came_from_leads_on(operator: Client) -> None:
    oldest = example_runs.failed_run(ago_s=400)
    factories.run("succeeded", ago_s=350)
    middle, newest = example_runs.failed_run(ago_s=300), example_runs.failed_run(ago_s=200)
    shown = page(operator, middle, "?list=state%3Dfailed")
    assert f'href="/runs/{newest.run.id}/?list=state%3Dfailed"' in shown
    assert f'href="/runs/{oldest.run.id}/?list=state%3Dfailed"' in shown
    assert 'href="/runs/?state=failed"' in shown
    assert "data-newer" not in page(operator, newest, "?list=state%3Dfailed")


def test_the_list_without_a_filter_leads_on_too(operator: Client) -> None:
    """Its rows carry no query, and it does not end where the list's first day does."""
    oldest, middle = factories.run("succeeded", ago_s=200_000), example_runs.failed_run(ago_s=300)
    newest = factories.run("succeeded", ago_s=200)
    shown = page(operator, middle)
    assert f'href="/runs/{newest.run.id}/" aria-label="Newer run' in shown
    assert f'href="/runs/{oldest.run.id}/" aria-label="Older run' in shown
    assert "data-older" not in page(operator, oldest)


def test_a_queued_run_says_what_it_waits_behind(operator: Client) -> None:
    factories.worker()
    factories.run("queued", ago_s=30)
    made = factories.run("queued", ago_s=20)
    assert "Waiting for a worker: 1 run ahead" in page(operator, made)


def test_a_run_that_makes_no_progress_is_shown_as_stuck(operator: Client) -> None:
    factories.worker()
    made = factories.run("running", ago_s=900)
    made.step("answer", "prompt", "ready")
    JournalEvent.objects.filter(run=made.run).update(at=timezone.now() - timedelta(seconds=600))
    shown = page(operator, made)
    assert "Nothing has happened for 10m" in shown
    assert ">Stuck<" in shown
    Run.objects.filter(pk=made.run.pk).update(state="waiting")
    made.step("person", "tool", "waiting", reason="retry")
    assert "Nothing has happened" not in page(operator, made)


def test_a_prompt_shows_its_template_and_marks_its_variables(operator: Client) -> None:
    factories.prompts()
    made = factories.run()
    made.step(
        "answer",
        "prompt",
        tries=[(0, 1, "succeeded")],
        asked={
            "prompt": "answer",
            "version": 2,
            "variables": {"question": "Why <b>?"},
            "messages": [{"role": "user", "content": "Asked: Why <b>?"}],
            "output": {"title": "Answer", "type": "object"},
        },
        gave={"text": "Because.", "more": 1},
    )
    shown = page(operator, made, "step/?step=answer")
    assert 'Asked: <mark class="variable" title="question">Why &lt;b&gt;?</mark>' in shown
    assert '<mark class="variable">{{ docs }}</mark>' in shown
    assert "valid against the schema Answer" in shown
