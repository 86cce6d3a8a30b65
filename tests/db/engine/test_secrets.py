"""Secret input: tools and models get it, nobody else does; runs that have it replay, fork and retry like others."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from cryptography.fernet import Fernet
from django.db import connection
from pytest_django import Settings

from console.logging import configuration
from retrieval.models import Retrieval
from tests import stored
from tests.db.engine.test_forks import OTHERS
from tests.db.replay.test_transfer import elsewhere
from tests.db.retrieval import fixtures
from tests.engine import OPERATOR, apply, check_journal, deploy, drain, output, run, start, states
from tests.witness import Behaviour, Witness
from workflows import approvals, payloads, recovery, runs, sealing
from workflows.actor import Actor
from workflows.errors import Conflict, Invalid
from workflows.models import Run, SecretInput
from workflows.replay import forking, packing, verify
from workflows.replay.overriding import Overrides
from workflows.spec.masks import MASK

CARD, KEY, PIN = "4111111111111111", 'sk-"quoted"/é key', "8642"
TOOLS = """
kind: Tool
name: pay
input:
  type: object
  required: [card]
  properties: {card: {type: string, pattern: "^[0-9]{16}$"}, key: {type: string}}
http: {method: POST, url: "URL/pay", headers: {X-Key: "{{ key | default('none') }}"}, body: {card: "{{ card }}"}}
output: {type: object, properties: {card: {type: string, maxLength: 16}}}
effect: once
timeout: 5s
---
kind: Tool
name: look
input: {type: object}
http: {method: GET, url: "URL/look?pin={{ pin }}"}
effect: read
timeout: 5s
---
kind: Tool
name: sub
input: {type: object}
workflow: child
---
kind: Provider
name: fake
api: scripted
models: [{name: m, context_tokens: 1000, price: {input: 1, output: 2}}]
---
{kind: Route, name: chat, targets: [fake/m]}
---
kind: Prompt
name: ask
variables: {card: {type: string}}
messages: [{role: user, content: "Is {{ card }} mine?"}]
---
kind: Workflow
name: child
input: {type: object, required: [pin], properties: {pin: {type: string, pattern: "^[0-9]+$", x-secret: true}}}
steps:
  - {id: looked, tool: look, with: {pin: "{{ input.pin }}"}}
output: "{{ steps.looked.output }}"
"""
FLOW = """
name: flow
input:
  type: object
  required: [card, pins]
  properties:
    card: {type: string, minLength: 16, x-secret: true}
    pins: {type: array, items: {type: object, properties: {pin: {type: string, x-secret: true}}}}
    key: {type: string, x-secret: true}
    note: {type: string}
steps:
  - {id: kept, set: {all: "{{ input }}", text: "My card is {{ input.card }}.", json: "{{ input | tojson }}"}}
  - {id: ask, prompt: ask, with: {card: "{{ input.card }}"}, route: chat, cache: 1h}
  - {id: paid, tool: pay, with: {card: "{{ input.card }}", key: "{{ input.key | default('none') }}"}}
  - id: each
    map:
      over: input.pins
      steps: [{id: one, workflow: child, with: {pin: "{{ item.pin }}"}}]
  - {id: same, tool: sub, with: {pin: "{{ input.pins[0].pin }}"}}
  - {id: note, memory: {write: {scope: workflow, key: note, value: "{{ steps.ask.output.text }}"}}}
  - {id: sure, approval: {title: "Charge {{ input.card }}?", details: "{{ steps.paid.output | tojson }}"}}
  - {id: agent, agent: ask, with: {card: "{{ steps.kept.output.all.card }}"}, route: chat}
output: {kept: "{{ steps.kept.output.text }}", agent: "{{ steps.agent.output.text }}", each: "{{ steps.each.output }}"}
"""
GIVEN: dict[str, Any] = {
    "card": CARD,
    "pins": [{"pin": PIN}, {"pin": "975318642097531"}],
    "key": KEY,
    "note": f"the card again: {CARD}",
}
# Four digits stand in random numbers and hashes by chance; as the whole of a text or a number they do not.
SOUGHT = (CARD, KEY, json.dumps(KEY)[1:-1], f'"{PIN}"', f": {PIN}", f" {PIN} ", "975318642097531")


@pytest.fixture
def witness(settings: Settings) -> Iterator[Witness]:
    settings.TOOL_ALLOW = ["127.0.0.1"]
    with Witness() as found:
        found.behave("/pay", Behaviour(body={"card": CARD, "echo": [f"{KEY} {CARD}", int(CARD)]}))
        found.behave("/look", Behaviour(body={"pin": int(PIN), PIN: "975318642097531"}))
        yield found


@pytest.fixture
def flow(witness: Witness) -> str:
    apply(TOOLS.replace("URL", witness.url("").rstrip("/")))
    return deploy(FLOW)


@pytest.fixture
def done(flow: str) -> Run:
    begun = run(flow, **GIVEN)
    decide(begun)
    assert begun.state == "succeeded", begun.error
    return begun


def decide(begun: Run) -> None:
    approvals.decide(
        begun.approvals.get().pk, approved=True, actor=OPERATOR, groups=None, comment=f"yes, {CARD}"
    )
    drain()
    begun.refresh_from_db()


def nothing_stored() -> None:
    found = stored.holding(*SOUGHT)
    assert not found, found


def revealed(text: str) -> list[str]:
    return [secret for secret in SOUGHT if secret in text]


def test_tools_and_models_get_the_secret_and_nothing_that_is_stored_holds_it(
    done: Run, witness: Witness
) -> None:
    (paid,) = witness.of("/pay")
    assert (paid.json, paid.headers["x-key"]) == ({"card": CARD}, KEY)
    looked = sorted(call.path for call in witness.of("/look"))
    assert looked == [f"/look?pin={PIN}", f"/look?pin={PIN}", "/look?pin=975318642097531"]
    given = payloads.load_one(done.input_hash)
    assert MASK.fullmatch(given["card"])
    assert given["card"].startswith("[secret:card:")
    assert given["note"] == f"the card again: {given['card']}"
    assert output(done)["kept"] == f"My card is {given['card']}."
    assert output(done)["agent"] == f"Is {given['card']} mine?", "the scripted model echoes what it got"
    request = payloads.load_one(done.calls.earliest("id").request_hash)
    assert request["body"]["messages"][0]["content"] == f"Is {given['card']} mine?"
    nothing_stored()
    assert stored.holding("[secret:card:"), "what is stored can be looked through"
    assert {bytes(each.ciphertext)[:5] for each in SecretInput.objects.all()} == {b"gAAAA"}
    assert SecretInput.objects.filter(run=done).count() == SecretInput.objects.count() == 4


def test_what_comes_back_holds_masks_of_the_right_secrets(done: Run) -> None:
    given = payloads.load_one(done.input_hash)
    card, key, pin, other = given["card"], given["key"], *(each["pin"] for each in given["pins"])
    assert payloads.load_one(done.steps.get(path="paid").output_hash) == {
        "card": card,
        "echo": [f"{key} {card}", card],
    }
    assert output(done)["each"] == [{"pin": pin, pin: other}] * 2


def test_it_replays_without_a_key_and_on_another_machine(done: Run, settings: Settings) -> None:
    check_journal(done)
    packed = packing.pack(done.pk)
    assert not revealed(json.dumps(packed, ensure_ascii=False).replace("\\", ""))
    settings.ENCRYPTION_KEY = Fernet.generate_key().decode()
    sealing.forget_all()
    assert verify.replay(done.pk).verdict == "identical"
    there = elsewhere(packed)
    SecretInput.objects.all().delete()
    assert there.sealed
    assert verify.replay(there.pk).verdict == "identical"


def test_a_fork_has_the_secrets_of_its_run_and_can_be_given_others(done: Run, witness: Witness) -> None:
    made = forking.fork(done.pk, forking.Ask(effects="live"), actor=OPERATOR)
    drain()
    assert states(made) | {"agent": "", "sure": ""} == states(done) | {"agent": "", "sure": ""}
    assert [call.json for call in witness.of("/pay")] == [{"card": CARD}] * 2
    assert payloads.load_one(made.input_hash) == payloads.load_one(done.input_hash)
    ask = forking.Ask(effects="live", overrides=Overrides(input={"card": "5500000000000004"}))
    other = forking.fork(done.pk, ask, actor=OPERATOR)
    drain()
    assert witness.of("/pay")[-1].json == {"card": "5500000000000004"}
    assert payloads.load_one(other.input_hash)["card"] != payloads.load_one(done.input_hash)["card"]
    assert not stored.holding("5500000000000004")
    nothing_stored()
    stubbed = forking.fork(done.pk, forking.Ask(from_step="each"), actor=OPERATOR)
    drain()
    stubbed.refresh_from_db()
    assert (stubbed.state, output(stubbed)) == ("succeeded", output(done))
    again = forking.fork(
        stubbed.children.get(parent_path="each[0]/one").pk, forking.Ask(effects="live"), actor=OPERATOR
    )
    drain()
    again.refresh_from_db()
    assert again.state == "succeeded"
    assert witness.of("/look")[-1].path == f"/look?pin={PIN}"


def test_a_patched_secret_is_held_against_the_schema(done: Run) -> None:
    for wrong in ("5500", "abc", "[secret:card:0123456789abcdef0123]"):
        ask = forking.Ask(overrides=Overrides(input={"card": wrong}))
        with pytest.raises(Invalid) as caught:
            forking.fork(done.pk, ask, actor=OPERATOR)
        assert "input.card" in caught.value.errors[0][0]


def test_an_error_that_echoes_the_secret_is_masked_and_a_retry_has_it_again(
    flow: str, witness: Witness
) -> None:
    witness.behave("/look", Behaviour(status=500, body=f"no such pin {PIN} of {CARD}"), Behaviour())
    failed = run(flow, **GIVEN)
    assert failed.state == "failed"
    assert failed.error is not None
    given = payloads.load_one(failed.input_hash)
    assert f"no such pin {given['pins'][0]['pin']} of {given['card']}" in failed.error["message"]
    nothing_stored()
    recovery.retry(failed.pk, actor=OPERATOR)
    drain()
    decide(failed)
    assert failed.state == "succeeded"
    assert len(witness.of("/pay")) == 1
    nothing_stored()


def test_what_does_not_fit_the_tool_is_told_without_the_secret(flow: str, witness: Witness) -> None:
    failed = run(flow, **{**GIVEN, "card": "not a card number"})
    assert failed.error is not None
    assert (failed.error["class"], failed.error["step"]) == ("input_invalid", "paid")
    assert "do not fit its input schema: card: " in failed.error["message"]
    assert not witness.of("/pay")
    assert not stored.holding("not a card number")


def test_a_childs_secret_has_to_be_one_of_its_parent(flow: str) -> None:
    parent = (
        "name: p\ninput: {type: object}\nsteps: [{id: c, workflow: child, with: {pin: '{{ input.pin }}'}}]"
    )
    failed = run(deploy(parent), pin=PIN)
    assert failed.error is not None
    assert failed.error["class"] == "input_invalid"
    assert failed.error["message"].startswith("pin is a secret field of workflow child")


@pytest.mark.parametrize("wrong", ["123", "", "[secret:card:0123456789abcdef0123]", "x" * 20_000])
def test_a_value_that_could_not_be_masked_is_refused(flow: str, wrong: str) -> None:
    with pytest.raises(Invalid) as caught:
        start(flow, **{**GIVEN, "key": wrong})
    assert [path for path, _ in caught.value.errors] == ["key"]
    assert not Run.objects.exists()


def order(flow: str, **given: Any) -> runs.Order:
    return runs.Order(workflow=flow, input={**GIVEN, **given}, title=f"Charge {CARD}", tags=[f"card:{CARD}"])


def test_the_same_key_and_input_are_the_same_run_whatever_key_encrypts(flow: str, settings: Settings) -> None:
    def begin(asked: runs.Order) -> runs.Started:
        return runs.start(asked, actor=Actor(kind="user", name="olga"), trigger="api", idempotency_key="k")

    first = begin(order(flow))
    assert "[secret:card:" in first.run.title
    assert not begin(order(flow)).created
    with pytest.raises(Invalid, match="another request"):
        begin(order(flow, card="5500000000000004"))
    settings.ENCRYPTION_KEY = f"{Fernet.generate_key().decode()},{settings.ENCRYPTION_KEY}"
    sealing.forget_all()
    assert begin(order(flow)).run.pk == first.run.pk
    drain()
    decide(first.run)
    assert first.run.state == "succeeded", "the older key still decrypts"
    nothing_stored()


def test_equal_secrets_of_two_runs_look_different_and_share_no_cached_answer(done: Run, flow: str) -> None:
    other = run(flow, **GIVEN)
    one, two = (payloads.load_one(each.input_hash)["card"] for each in (done, other))
    assert one != two
    assert other.calls.filter(step_run__path="ask").count() == 1


def test_without_the_key_a_step_fails_and_goes_on_once_it_is_back(
    flow: str, witness: Witness, settings: Settings
) -> None:
    begun = start(flow, **GIVEN)
    key = settings.ENCRYPTION_KEY
    settings.ENCRYPTION_KEY = Fernet.generate_key().decode()
    sealing.forget_all()
    drain()
    begun.refresh_from_db()
    assert begun.error is not None
    assert begun.error["class"] == "secret_unreadable"
    assert "INTERLOCK_ENCRYPTION_KEY" in begun.error["message"]
    with pytest.raises(Conflict, match="INTERLOCK_ENCRYPTION_KEY"):
        forking.fork(begun.pk, forking.Ask(), actor=OPERATOR)
    settings.ENCRYPTION_KEY = key
    recovery.retry(begun.pk, actor=OPERATOR)
    drain()
    assert witness.of("/pay")[0].json == {"card": CARD}


def test_a_signal_or_a_supplied_output_that_repeats_the_secret_is_masked(flow: str) -> None:
    waits = """
name: waits
input: {type: object, properties: {card: {type: string, x-secret: true}}}
steps:
  - {id: w, wait: {signal: paid}}
  - {id: s, tool: look, with: {pin: "{{ input.card }}", x: "{{ steps.w.output.payload }}"}}
output: "{{ [steps.w.output.payload, steps.s.output] }}"
"""
    begun = run(deploy(waits), card=CARD)
    runs.signal(begun.pk, "paid", {"card": CARD}, actor=OPERATOR)
    drain()
    mask = payloads.load_one(begun.input_hash)["card"]
    assert output(begun)[0] == {"card": mask}
    assert not stored.holding(CARD)


SEARCHES = """
name: searches
input: {type: object, properties: {card: {type: string, x-secret: true}}}
steps:
  - {id: s, retrieve: handbook, query: "card {{ input.card }}", filter: {owner: "{{ input.card }}"}}
  - {id: p, tool: dumps, with: {obj: ["{{ input.card }}", "x"]}}
output: "{{ [steps.s.output.chunks, steps.p.output] }}"
"""


def test_searches_embed_it_and_functions_get_it(settings: Settings) -> None:
    settings.TOOL_PYTHON = ["json:dumps"]
    embeds = OTHERS.replace("models: [", f"models: [{{name: e, embeds: {fixtures.DIMS}}}, ")
    name = deploy(
        SEARCHES,
        tools="{name: dumps, input: {type: object}, python: 'json:dumps', effect: read}",
        others=embeds + "---\n{kind: Corpus, name: handbook, embedding: fake/e}\n",
    )
    fixtures.publish("handbook", {"a.md": "There are no cards."})
    found = run(name, card=CARD)
    mask = payloads.load_one(found.input_hash)["card"]
    assert output(found) == [[], json.dumps([mask, "x"])]
    (row,) = Retrieval.objects.filter(run=found.pk)
    assert (row.query, row.params["filter"]) == (f"card {mask}", {"owner": mask})
    assert payloads.load_one(found.calls.get().request_hash)["body"]["input"] == [f"card {mask}"]
    assert not stored.holding(CARD)


def test_a_run_from_elsewhere_is_forked_with_its_secrets_given_anew(done: Run, witness: Witness) -> None:
    packed = packing.pack(done.pk)
    there = elsewhere(packed)
    SecretInput.objects.all().delete()
    sealing.forget_all()
    apply(TOOLS.replace("URL", witness.url("").rstrip("/")))
    with pytest.raises(Conflict, match="Give its secret fields"):
        forking.fork(there.pk, forking.Ask(effects="live"), actor=OPERATOR)
    ask = forking.Ask(effects="live", overrides=Overrides(input=GIVEN))
    made = forking.fork(there.pk, ask, actor=OPERATOR)
    drain()
    assert states(made)["paid"] == "succeeded"
    assert len(witness.of("/pay")) == 2


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What a worker logs."""
    formatter = configuration(level="INFO", terminal=False)["formatters"]["structured"]
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=formatter["foreign_pre_chain"], processors=formatter["processors"]
        )
    )
    logger = logging.getLogger("workflows")
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)


def test_no_log_line_and_no_traceback_shows_it(
    flow: str, monkeypatch: pytest.MonkeyPatch, lines: io.StringIO
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ValueError(f"cannot send {CARD} as {base64.b64encode(KEY.encode()).decode()}")

    monkeypatch.setattr("workflows.tools.http.send", broken)
    failed = run(flow, **GIVEN)
    assert failed.error is not None
    assert failed.error["class"] == "internal"
    logged = lines.getvalue()
    assert "step_crashed" in logged
    assert "cannot send [secret:card:" in logged
    assert CARD not in logged
    assert base64.b64encode(KEY.encode()).decode()[:12] not in logged
    nothing_stored()


def test_a_run_without_secrets_reads_and_writes_none(flow: str) -> None:
    plain = run(
        deploy("name: plain\ninput: {type: object}\nsteps: [{id: a, set: {v: '{{ input.v }}'}}]"), v=1
    )
    assert (plain.sealed, SecretInput.objects.count()) == (False, 0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_jsonb(r)::text FROM workflows_run r WHERE id = %s", [plain.pk])
        assert '"sealed": false' in cursor.fetchone()[0]
