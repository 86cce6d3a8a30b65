"""Child runs in a bulk retry: the run at the top is what is retried, and what goes on with it is counted in."""

from __future__ import annotations

from tests import bulk, engine
from workflows.bulk import previews
from workflows.bulk.selections import Matching
from workflows.models import JournalEvent, Run
from workflows.queries.run_list import RunFilter


def of(workflow: str) -> Matching:
    return Matching(RunFilter(workflow=workflow))


def retried() -> dict[str, int]:
    found = JournalEvent.objects.filter(type="run.retried").values_list("run__workflow", flat=True)
    return {name: list(found).count(name) for name in set(found)}


def test_a_failed_run_and_the_child_runs_below_it_are_one_to_retry() -> None:
    tops = bulk.fail_below(2)
    found = previews.preview(bulk.asked())
    assert (found.matched, found.applies) == (6, 2)
    assert {each.verdict: each.count for each in found.excluded} == {"below": 4}
    bulk.mend()
    action = bulk.start()
    engine.drain()
    assert list(action.items.values_list("outcome", flat=True)) == ["done", "done"]
    assert retried() == {"top": 2, "middle": 2, "asking": 2}
    assert set(Run.objects.filter(pk__in=[run.pk for run in tops]).values_list("state", flat=True)) == {
        "succeeded"
    }


def test_child_failures_alone_lead_on_the_runs_at_the_top() -> None:
    bulk.fail_below(3)
    children = bulk.asked(selection=of("asking"))
    assert previews.preview(children).applies == 0
    assert previews.counts(of("asking"), frozen_at=children.frozen_at)["retry"] == 3
    above = previews.settled(children)
    found = previews.preview(above)
    assert (above.above, found.matched, found.applies, found.workflows) == (True, 3, 3, ("top",))
    assert found.excluded == ()


def test_a_child_run_whose_parent_does_not_stand_failed_is_retried_itself() -> None:
    bulk.fail_below(1)
    Run.objects.filter(workflow="middle").update(state="succeeded")
    assert previews.preview(bulk.asked(selection=of("asking"))).applies == 1


def test_calls_of_the_child_runs_that_go_on_are_counted_in() -> None:
    bulk.note_below()
    found = previews.preview(bulk.asked(selection=of("outer")))
    assert found.applies == 1
    assert [(each.tool, each.effect, each.count) for each in found.calls] == [("note", "idempotent", 1)]
