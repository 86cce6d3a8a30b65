"""Secret input in the console and over the API: asked for, carried, and shown nowhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from console.views import interrupted, run
from tests import stored
from tests.engine import apply, deploy, drain
from tests.web.api.conftest import Api, make_token
from tests.witness import Behaviour, Witness
from workflows import payloads
from workflows.models import BulkAction, Run

pytestmark = pytest.mark.django_db(transaction=True)
CARD, PIN = "4111111111111111", "97-53-10-86-42"
TOOL = """
kind: Tool
name: pay
input: {type: object}
http: {method: POST, url: "URL", body: "{{ of }}"}
effect: idempotent
timeout: 5s
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
"""
PAYS = """
name: pays
input:
  type: object
  required: [card, amount]
  properties:
    amount: {type: integer}
    card: {type: string, minLength: 16, maxLength: 16, x-secret: true}
    more: {type: object, properties: {pin: {type: string, x-secret: true}, note: {type: string}}}
steps:
  - {id: ask, prompt: ask, with: {card: "{{ input.card }}"}, route: chat}
  - {id: pay, tool: pay, with: {of: "{{ input }}"}, on_error: continue}
  - {id: each, map: {over: "[input.card]", steps: [{id: one, set: {card: "{{ item }}"}}]}}
output: {card: "{{ input.card }}", error: "{{ steps.pay.error }}"}
"""
GIVEN: dict[str, Any] = {"amount": 3, "card": CARD, "more": {"pin": PIN, "note": "n"}}
FORM = {"input.amount": "3", "secret.card": CARD, "secret.more": json.dumps(GIVEN["more"])}
START = "/workflows/pays/start/"


@pytest.fixture
def witness(settings: Settings) -> Iterator[Witness]:
    settings.TOOL_ALLOW = ["127.0.0.1"]
    with Witness() as found:
        found.behave("/", Behaviour(status=402, body=f"card {CARD} with {PIN} was refused"))
        yield found


@pytest.fixture
def pays(witness: Witness) -> str:
    apply(TOOL.replace("URL", witness.url("/")))
    return deploy(PAYS)


@pytest.fixture
def api(db: None) -> Api:
    return Api(make_token("operator"))


def text_of(answer: Any) -> str:
    """Return the whole of an answer, one that comes piece by piece too."""
    body: bytes = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return body.decode()


def start(api: Api, **more: Any) -> Run:
    answer = api.post(
        "/runs", {"workflow": "pays", "input": GIVEN, **more}, headers={"Idempotency-Key": "k1"}
    )
    assert answer.status_code == 201, answer.content
    assert CARD not in answer.content.decode()
    drain()
    return Run.objects.get(pk=answer.json()["id"])


def test_no_page_answer_or_export_of_a_run_shows_it(
    operator: Client, api: Api, pays: str, witness: Witness
) -> None:
    begun = start(api, title=f"for {CARD}", session=f"s-{PIN}")
    assert witness.calls[0].json == GIVEN
    mask = payloads.load_one(begun.input_hash)["card"]
    shown = 0
    base = f"/runs/{begun.pk}/"
    addresses = [f"{base}?tab={tab}" for tab, _ in run.TABS]
    addresses += [f"{base}step/?step={path}" for path in ("ask", "pay", "each[0]/one")]
    addresses += [f"{base}{page}/" for page in ("markdown", "record", "fork", "rows", "replay")]
    addresses += ["/runs/", START, f"{START}?like={begun.pk}", "/search/?q=4111"]
    for address in addresses:
        answer = operator.get(address)
        body = text_of(answer)
        assert CARD not in body, address
        assert PIN not in body, address
        shown += answer.status_code == 200 and mask in body
    packed = operator.post(f"{base}pack/").content.decode()
    assert mask in packed
    assert CARD not in packed
    assert PIN not in packed
    assert shown >= 5, "the pages that show values show the mask"
    for path in ("", "/steps", "/calls", "/journal", "/record"):
        answer = api.get(f"/runs/{begun.pk}{path}")
        assert answer.status_code == 200, path
        assert CARD not in text_of(answer), path
    assert api.get(f"/runs/{begun.pk}").json()["input"]["card"] == mask
    assert not stored.holding(CARD, PIN)


def test_the_form_asks_for_secrets_and_never_sends_them_back(operator: Client, pays: str) -> None:
    page = operator.get(START).content.decode()
    assert 'name="secret.card" type="password"' in page
    refused = operator.post(START, {**FORM, "secret.card": "too short"})
    assert refused.status_code == 422
    page = refused.content.decode()
    assert "too short" not in page
    assert PIN not in page
    assert 'value="3"' in page
    assert "Enter it again: no page shows a secret." in page
    answer = operator.post(START, FORM)
    assert answer.status_code == 302
    begun = Run.objects.get()
    given = payloads.load_one(begun.input_hash)
    assert given["more"] == {"note": "n", "pin": given["more"]["pin"]}
    assert given["more"]["pin"].startswith("[secret:pin:")
    like = operator.get(f"{START}?like={begun.pk}").content.decode()
    assert given["card"] not in like.split("Recent inputs")[0]
    assert "&quot;note&quot;: &quot;n&quot;" in like
    assert "&quot;pin&quot;: &quot;&quot;" in like
    assert not stored.holding(CARD, PIN)


def test_a_form_that_meets_a_session_that_is_over_does_not_carry_them(client: Client, pays: str) -> None:
    answer = client.post(START, {**FORM, "title": "kept"})
    assert answer.status_code == 401
    page = answer.content.decode()
    carried = interrupted.unpack(page.split('name="carried" value="')[1].split('"')[0], person="")
    assert carried is not None
    assert dict(carried.fields) == {"input.amount": "3", "title": "kept"}


def test_a_fork_keeps_the_secret_and_takes_another(
    operator: Client, api: Api, pays: str, witness: Witness
) -> None:
    begun = start(api)
    address = f"/runs/{begun.pk}/fork/"
    other: dict[str, Any] = {"card": "5500000000000004", "amount": 4}
    assert 'name="secret.input"' in operator.get(address).content.decode()
    refused = operator.post(address, {"secret.input": json.dumps({**other, "amount": "x"})})
    assert refused.status_code == 409
    page = refused.content.decode()
    assert other["card"] not in page
    assert "&quot;amount&quot;: &quot;x&quot;" in page
    for patch, expected in (("", CARD), (json.dumps(other), other["card"])):
        assert operator.post(address, {"secret.input": patch, "effect:pay": "live"}).status_code == 302
        drain()
        assert witness.calls[-1].json["card"] == expected
    answer = api.post(f"/runs/{begun.pk}/fork", {"overrides": {"input": other}, "effects": "live"})
    assert answer.status_code == 201
    assert not stored.holding(CARD, PIN, str(other["card"]))


def test_a_bulk_fork_keeps_each_runs_secret_and_is_given_none(api: Api, pays: str) -> None:
    begun = start(api)
    asked = {
        "action": "fork", "filter": {}, "reason": "again",
        "fork": {"overrides": {"input": {"card": "5500000000000004"}}},
    }  # fmt: skip
    answer = api.post("/runs/bulk", asked)
    assert answer.status_code == 422, answer.content
    assert answer.json()["type"].endswith(":secret_in_bulk")
    assert not BulkAction.objects.exists()
    answer = api.post("/runs/bulk", {**asked, "fork": {"overrides": {"input": {"amount": 4}}}})
    assert answer.status_code in (201, 202), answer.content
    drain()
    made = Run.objects.get(forked_from=begun)
    assert payloads.load_one(made.input_hash) == {**payloads.load_one(begun.input_hash), "amount": 4}
    assert not stored.holding(CARD, PIN, "5500000000000004")
