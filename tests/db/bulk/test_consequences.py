"""What a preview says of the world outside: which tools are called again, and which provider is still in trouble."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from tests import bulk, engine
from tests.witness import Behaviour, Witness
from workflows.bulk import previews
from workflows.engine import bundle
from workflows.models import Call

TOOLS = """
kind: Tool
name: {name}
input: {{type: object}}
http: {{method: POST, url: "{url}"}}
effect: {effect}
timeout: 5s
"""
CALLING = """
name: calling
steps:
  - {id: look, tool: look, with: {}}
  - {id: note, needs: [look], tool: note, with: {}}
  - {id: after, needs: [note], tool: note, with: {}}
"""


def test_calls_with_an_effect_are_counted_and_what_only_reads_or_never_ran_is_not(settings: Settings) -> None:
    settings.TOOL_ALLOW = ["127.0.0.1"]
    with Witness() as witness:
        witness.behave("/look", Behaviour(), Behaviour(), Behaviour(status=400))
        witness.behave("/note", Behaviour(status=400))
        tools = "---\n".join(
            TOOLS.format(name=name, url=witness.url(f"/{name}"), effect=effect)
            for name, effect in (("look", "read"), ("note", "idempotent"))
        )
        engine.apply(tools)
        engine.deploy(CALLING)
        for _ in range(3):
            engine.run("calling")
        found = previews.preview(bulk.asked())
    assert found.applies == 3
    assert [(each.tool, each.effect, each.count) for each in found.calls] == [("note", "idempotent", 2)]
    assert previews.preview(bulk.asked("cancel")).calls == ()


def test_the_room_that_a_providers_limits_leave_is_told() -> None:
    runs = bulk.outage(4)
    (found,) = previews.preview(bulk.asked()).headroom
    assert (found.provider, found.requests, found.requests_per_run, found.runs_per_s) == (
        "fake",
        4,
        1.0,
        None,
    )
    engine.apply(bulk.UP.replace("rules:", "limits: {requests_per_minute: 124}\nrules:"))
    bundle.forget_providers()
    assert previews.preview(bulk.asked()).headroom[0].runs_per_s == 2.0
    engine.apply(
        bulk.UP.replace("rules:", "limits: {requests_per_minute: 124, tokens_per_minute: 60}\nrules:")
    )
    bundle.forget_providers()
    engine.run("asking", text="a run that succeeds says how many tokens one takes")
    (found,) = previews.preview(bulk.asked()).headroom
    assert (found.requests, found.tokens_per_run) == (5, 11.0)
    assert found.runs_per_s == pytest.approx((60 - found.tokens) / 60 / 11)
    Call.objects.update(started_at=timezone.now() - timedelta(hours=1))
    assert previews.preview(bulk.asked()).headroom[0].requests == 0
    assert len(runs) == 4
    assert previews.preview(bulk.asked("cancel")).headroom == ()


def test_a_provider_that_still_answers_badly_is_named_and_one_that_is_back_is_not() -> None:
    bulk.outage(6)
    assert [each.provider for each in previews.preview(bulk.asked()).troubled] == ["fake"]
    Call.objects.update(started_at=timezone.now() - timedelta(hours=1))
    assert previews.preview(bulk.asked()).troubled == ()
