"""What is said about documents that are wrong, and where."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.spec.test_documents import JSON
from workflows.spec import documents
from workflows.spec.check import Catalog, check
from workflows.spec.documents import Document, SourceText
from workflows.spec.step_shapes import STEP_SHAPES

BASE = """
kind: Provider
name: fake
api: scripted
models: [{name: m, context_tokens: 8000, price: {input: 1, output: "2.00"}}, {name: e, embeds: 64}]
rules:
  - {match: "(?i)refund", reply: '{"severity": 5}', latency: 200ms}
  - {match: flaky, fault: {status: 503}, times: 2}
  - {match: call, tool_calls: [{name: refund, arguments: {order: "42"}}]}
---
kind: Route
name: chat
targets: [fake/m, {model: fake/m, weight: 80}]
timeout: 30s
deadline: 120s
retry: {attempts: 3, first: 500ms, max: 8s}
fallback_on: [connect, timeout]
hedge_after: 6s
breaker: {failures: 0.5, window: 60s, minimum: 10, open_for: 30s}
---
kind: Prompt
name: triage
variables: {ticket: {type: string}, tone: {type: string, default: kind}}
messages:
  - {role: system, content: "You sort tickets."}
  - {role: user, content: "{{ ticket }}"}
params: {temperature: 0}
output: {type: object, required: [severity], properties: {severity: {type: integer}}}
---
kind: Prompt
name: answer
variables: {docs: {type: array}}
messages: [{role: user, content: "{% for d in docs %}{{ d.text }}{% endfor %}"}]
---
kind: Tool
name: refund
description: Refunds an order.
input: {type: object, required: [order], properties: {order: {type: string}}}
http: {method: POST, url: "https://shop.internal/{{ order }}", credential: "secret:shop"}
effect: once
timeout: 10s
---
kind: Corpus
name: handbook
embedding: local/minilm-l6
chunk: {tokens: 400, overlap: 40}
sources: [{path: "handbook/**/*.md"}]
publish: auto
---
"""

SUPPORT = """
kind: Workflow
name: support
input: {type: object, required: [ticket], properties: {ticket: {type: string}}}
session: "{{ input.customer }}"
deadline: 8h
steps:
  - id: triage
    prompt: triage
    route: chat
    with: {ticket: "{{ input.ticket }}"}
  - id: search
    needs: []
    retrieve: handbook
    query: "{{ input.ticket }}"
    filter: {product: "{{ input.product }}"}
  - id: decide
    needs: [triage, search]
    branch:
      - when: steps.triage.output.severity >= 4
        steps:
          - {id: pay, tool: refund, with: {order: "{{ input.order }}"}, retry: {on: [timeout]}}
      - else:
        steps:
          - {id: answer, prompt: answer, route: chat, with: {docs: "{{ steps.search.output.chunks }}"}}
  - id: each
    map:
      over: steps.search.output.chunks
      as: chunk
      max_parallel: 4
      on_item_error: continue
      output: "{{ steps.score.output.n }}"
      steps:
        - {id: score, set: {n: "{{ chunk.score * index }}", t: "{{ run.id }}"}}
  - {id: last, set: {a: "{{ steps.answer.output.text }}", m: "{{ steps.each.output | length }}"}, note: end}
output: {severity: "{{ steps.triage.output.severity }}", paid: "{{ steps.pay.output }}"}
"""


def errors_of(text: str, catalog: Catalog | None = None) -> list[str]:
    loaded = documents.load([SourceText("f.yaml", text)])
    assert loaded.errors == ()
    return [str(error) for error in check(loaded.documents, catalog=catalog or Catalog())]


def in_workflow(steps: str, more: str = "") -> list[str]:
    """The errors of a workflow with these steps (in flow style, one a line), without place."""
    text = f"{BASE}kind: Workflow\nname: w\n{more}\nsteps:\n{steps}\n"
    loaded = documents.load([SourceText("f.yaml", text)])
    assert loaded.errors == ()
    found = check(loaded.documents, catalog=Catalog())
    return [f"{error.path}: {error.message}" for error in found]


def test_example_of_the_language_is_right() -> None:
    assert errors_of(BASE + SUPPORT) == []


def test_errors_of_all_documents_come_at_once_with_lines() -> None:
    text = (
        "kind: Route\nname: chat\ntargets: [fake/m]\ntimout: 3s\n---\n"
        "kind: Prompt\nname: p\nmessages:\n  - {role: user, content: '{{ x }}'}\n---\n"
        "kind: Workflow\nname: w\nsteps:\n  - id: a\n    prompt: p\n    tool: t\n"
        "  - id: b\n    set: {x: '{{ steps.c }}'}\n"
    )

    assert errors_of(text) == [
        "f.yaml:3: targets[0]: there is no Provider 'fake'",
        "f.yaml:4: timout: unknown key; did you mean `timeout`?",
        "f.yaml:9: messages[0].content: names 'x', which is none of the prompt's variables (there are none)",
        "f.yaml:14: steps[0]: has both `prompt` and `tool`; a step has exactly one of prompt, retrieve, "
        "tool, agent, workflow, map, branch, loop, approval, wait, memory, set",
        "f.yaml:18: steps[1].set.x: there is no step 'c'",
    ]


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ("kind: Provider\nname: p\napi: opnai", "api: must be one of openai, openai-responses,"),
        ("kind: Provider\nname: p", "needs the key `api`"),
        (
            "kind: Provider\nname: p\napi: openai\nbase_url: ftp://x",
            "base_url: must be an address that starts",
        ),
        ("kind: Provider\nname: p\napi: openai\ncredential: sk-123", "credential: must be env:NAME"),
        (
            "kind: Provider\nname: p\napi: openai\nmodels: [{name: m}, {name: m}]",
            "models[1].name: the model 'm' is",
        ),
        (
            "kind: Provider\nname: p\napi: openai\nmodels: [{name: m, price: {input: -1}}]",
            "input: must be an amount",
        ),
        ("kind: Provider\nname: p\napi: openai\nrules: []", "rules: only a provider of the api `scripted`"),
        (
            "kind: Provider\nname: p\napi: scripted\nrules: [{match: '(?=x)'}]",
            "rules[0].match: '(?=x)' is not",
        ),
        ("kind: Route\nname: r\ntargets: []", "targets: must have at least 1 items"),
        ("kind: Route\nname: r\ntargets: [m]", "targets[0]: must be a model as PROVIDER/MODEL"),
        ("kind: Route\nname: r\ntargets: [fake/x]", "the Provider 'fake' has no model 'x'; it has: m, e"),
        (
            "kind: Route\nname: r\ntargets: [{model: fake/e}]",
            "targets[0].model: the model 'fake/e' makes embeddings",
        ),
        ("kind: Route\nname: r\ntargets: [fakee/m]", "there is no Provider 'fakee'; did you mean 'fake'?"),
        ("kind: Route\nname: r\ntargets: [fake/m]\ntimeout: 30", "timeout: must be a duration such as 500ms"),
        (
            "kind: Route\nname: r\ntargets: [fake/m]\nfallback_on: [slow]",
            "fallback_on[0]: must be one of connect",
        ),
        (
            "kind: Prompt\nname: q\nmessages: [{role: usr, content: x}]",
            "messages[0].role: must be one of system",
        ),
        ("kind: Prompt\nname: q\nmessages: [{role: user}]", "messages[0]: needs the key `content`"),
        ("kind: Prompt\nname: q\nmessages: [{insert: x}]", "messages[0].insert: needs an expression"),
        ("kind: Prompt\nname: q\nmessages: [{role: user, content: '{{ a.__class__ }}'}]", "two underscores"),
        ("kind: Prompt\nname: q\nmessages: [{role: user, content: '{{ a'}]", "the end of the expression"),
        (
            "kind: Prompt\nname: q\nvariables: {A: {}}\nmessages: [{role: user, content: x}]",
            "every key must be",
        ),
        (
            "kind: Prompt\nname: q\nmessages: [{role: user, content: x}]\noutput: {type: strin}",
            "output.type: must be",
        ),
        (
            "kind: Tool\nname: t",
            "a Tool has exactly one of http, python, mcp and workflow; this one has none",
        ),
        ("kind: Tool\nname: t\npython: 'a:b'\nhttp: {method: GET, url: x}", "this one has http and python"),
        ("kind: Tool\nname: t\nworkflow: nobody", "workflow: there is no Workflow 'nobody'"),
        ("kind: Tool\nname: t\npython: a.b", "python: must be a function as package.module:function"),
        (
            "kind: Tool\nname: t\ninput: {}\nmcp: {server: {url: 'http://a', command: b}, tool: y}",
            "mcp.server: a server has exactly one of `url` and `command`; this one has both",
        ),
        ("kind: Tool\nname: t\ninput: {}\nmcp: {server: {}, tool: y}", "this one has neither"),
        ("kind: Tool\nname: t\ninput: {}\nmcp: {server: {command: b}}", "mcp: needs the key `tool`"),
        (
            "kind: Tool\nname: t\ninput: {}\nmcp: {server: {command: [rm, -rf]}, tool: y}",
            "mcp.server.command: must be lower-case letters",
        ),
        (
            "kind: Tool\nname: t\ninput: {}\nmcp: {server: {command: b, headers: {}}, tool: y}",
            "mcp.server.headers: only a server with a `url` is sent this",
        ),
        (
            "kind: Tool\nname: t\ninput: {}\nmcp: {server: {url: 'ftp://a'}, tool: y}",
            "mcp.server.url: must be an address that starts with http:// or https://",
        ),
        (
            "kind: Tool\nname: t\ninput: {}\nmcp: {server: {url: 'http://{{host}}'}, tool: y}",
            "mcp.server.url: the address of a server is written out",
        ),
        (
            "kind: Tool\nname: t\nmcp: {server: {command: b}, tool: y}",
            "a Tool with `mcp` needs the key `input`",
        ),
        (
            "kind: Tool\nname: t\ninput: {properties: {a: {}}}\n"
            "mcp: {server: {url: 'http://h', headers: {X: '{{ b }}'}}, tool: y}",
            "mcp.server.headers.X: names 'b', which is none of the tool's input fields (a)",
        ),
        ("kind: Tool\nname: t\nhttp: {method: GETT, url: x}", "http.method: must be one of GET"),
        (
            "kind: Tool\nname: t\ninput: {properties: {a: {}}}\nhttp: {method: GET, url: '{{ b }}'}",
            "http.url: names 'b', which is none of the tool's input fields (a)",
        ),
        ("kind: Tool\nname: t\npython: 'a:b'\ninput: {pattern: '(a'}", "input.pattern: is not a pattern"),
        ("kind: Tool\nname: t\npython: 'a:b'\ninput: {$ref: 'http://x'}", "a reference may only name a part"),
        ("kind: Corpus\nname: c\nembedding: fake/m", "embedding: the model 'fake/m' makes no embeddings"),
        ("kind: Corpus\nname: c\nembedding: local/nope", "has no model 'nope'; it has: wordllama, minilm-l6"),
        (
            "kind: Corpus\nname: c\nembedding: fake/e\nchunk: {tokens: 20, overlap: 20}",
            "must be smaller than",
        ),
        (
            "kind: Corpus\nname: c\nembedding: fake/e\nsources: [{url: x}]",
            "a source's `url` is not supported",
        ),
        ("kind: Corpus\nname: handbook\nembedding: fake/e", "there is another Corpus 'handbook' in f.yaml:"),
    ],
)
def test_document_error_says_what_is_expected(document: str, error: str) -> None:
    found = errors_of(f"{BASE}{document}\n")

    assert any(error in one for one in found), found


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        ("- {set: {a: 1}}", "steps[0]: needs the key `id`"),
        ("- {id: A, set: {a: 1}}", "steps[0].id: must be lower-case letters, digits and underscores"),
        ("- {id: a, promt: triage}", "steps[0]: does not say what it does; `promt` may be meant as `prompt`"),
        ("- text", "steps[0]: a step is a mapping with an `id` and what it does"),
        ("- {id: a, prompt: triage}", "steps[0]: needs the key `route`"),
        ("- {id: a, prompt: nope, route: chat}", "steps[0].prompt: there is no Prompt 'nope'"),
        ("- {id: a, prompt: triage@2, route: chat}", "Prompt 'triage' has no version 2; its latest is 1"),
        ("- {id: a, prompt: triage, route: chatt}", "there is no Route 'chatt'; did you mean 'chat'?"),
        (
            "- {id: a, prompt: triage, route: chat}",
            "steps[0].with: the Prompt 'triage' needs the variable 'ticket'",
        ),
        (
            "- {id: a, prompt: triage, route: chat, with: {ticket: x, y: z}}",
            "with.y: the Prompt 'triage' has no",
        ),
        ("- {id: a, tool: refund}", "steps[0].with: the Tool 'refund' needs 'order'"),
        ("- {id: a, retrieve: handbook}", "steps[0]: needs the key `query`"),
        ("- {id: a, retrieve: handbook, query: x, mode: fast}", "mode: must be one of hybrid, vector, text"),
        ("- {id: a, set: {a: 1}, retries: {}}", "steps[0].retries: unknown key; did you mean `retry`?"),
        ("- {id: a, set: {a: 1}, retry: {attempts: 0}}", "steps[0].retry.attempts: must be at least 1"),
        ("- {id: a, set: {a: 1}, timeout: soon}", "steps[0].timeout: must be a duration"),
        ("- {id: a, set: {a: 1}, cache: soon}", "steps[0].cache: must be a duration"),
        (
            "- {id: a, wait: {for: 1h, signal: x}}",
            "steps[0].wait: a wait has exactly one of `for`, `until_time`, `signal`; this one has `for` and `signal`",
        ),
        ("- {id: a, wait: {for: soon}}", "steps[0].wait.for: is not a duration"),
        ("- {id: a, wait: {until_time: '2026-01-01'}}", "steps[0].wait.until_time: is not a time such as"),
        ("- {id: a, wait: {for: 1h, timeout: 1s}}", "steps[0].wait.timeout: only a wait for a `signal`"),
        (
            "- {id: a, approval: {title: x, fields: {type: array}}}",
            "fields.type: the fields of an approval are",
        ),
        ("- {id: a, set: {x: '{{ turn }}'}}", "`turn` is only there inside a `loop`"),
        (
            "- {id: a, loop: {until: steps.c.output.x, steps: [{id: b, set: {x: 1}}]}}",
            "steps[0].loop.until: there is no step 'c'",
        ),
        ("- {id: a, workflow: nobody}", "steps[0].workflow: there is no Workflow 'nobody'"),
        (
            "- {id: a, agent: triage, route: chat, tools: [nothing]}",
            "steps[0].tools[0]: there is no Tool 'nothing'",
        ),
        ("- {id: a, approval: {titel: x}}", "steps[0].approval.titel: unknown key; did you mean `title`?"),
        ("- {id: a, set: {a: 1}, needs: [b]}", "steps[0].needs[0]: there is no step 'b' beside this one"),
        ("- {id: a, set: {a: 1}}\n- {id: a, set: {a: 1}}", "steps[1].id: there is another step 'a'"),
        (
            "- {id: a, needs: [c], set: {a: 1}}\n- {id: b, set: {a: 1}}\n- {id: c, set: {a: 1}}",
            "steps[0].needs: these steps need each other in a circle: a → c → b → a",
        ),
        ("- {id: a, set: {x: '{{ steps.a.output }}'}}", "steps[0].set.x: the step 'a' cannot name itself"),
        (
            "- {id: a, set: {x: 1}}\n- {id: b, needs: [], when: steps.a.output.x, set: {x: 1}}",
            "steps[1].when: the step 'a' is not needed by this one, not even through others; add it to",
        ),
        (
            "- {id: a, set: {x: 1}}\n- {id: b, set: {y: '{{ steps.a.output.z }}'}}",
            "has no key 'z'; it has: x",
        ),
        (
            "- {id: a, set: {x: 1}}\n- {id: b, set: {y: '{{ steps.a.x }}'}}",
            "a step has output, state, error, not 'x'",
        ),
        ("- {id: a, when: 'steps[input.x]', set: {x: 1}}", "steps[0].when: a step has to be named outright"),
        ("- {id: a, when: '{{ input.x }}', set: {x: 1}}", "steps[0].when: a bare expression is needed here"),
        ("- {id: a, when: inptu.x, set: {x: 1}}", "there is no name 'inptu' here; did you mean 'input'?"),
        ("- {id: a, set: {x: '{{ item }}'}}", "steps[0].set.x: `item` is only there inside a `map`"),
        ("- {id: a, set: {x: '{{ run.ID }}'}}", "`run` has error, id, started_at, not 'ID'"),
        (
            "- {id: m, map: {over: run, steps: [{id: i, set: {x: 1}}]}}\n- {id: b, set: {x: '{{steps.i}}'}}",
            "steps[1].set.x: the step 'i' is inside the map 'm'; only steps inside it can name it",
        ),
        ("- {id: m, map: {over: input.l}}", "steps[0].map: needs the key `steps`"),
        ("- {id: m, map: {over: input.l, steps: []}}", "steps[0].map.steps: must have at least 1 items"),
        (
            "- {id: b, branch: [{steps: [{id: a, set: {x: 1}}]}]}",
            "branch[0]: a case has either `when` or `else`",
        ),
        (
            "- {id: b, branch: [{else: , steps: [{id: a, set: {x: 1}}]}, {when: x, steps: [{id: c, set: {x: 1}}]}]}",
            "steps[0].branch[0].else: only the last case may be the `else`",
        ),
    ],
)
def test_step_error_says_what_is_expected(steps: str, error: str) -> None:
    found = in_workflow(steps)

    assert any(error in one for one in found), found


def test_inner_steps_of_a_branch_can_be_named_behind_it_but_not_across_cases() -> None:
    steps = (
        "- {id: b, branch: [{when: input.x, steps: [{id: c, set: {x: 1}}]},"
        " {else: , steps: [{id: d, set: {x: '{{ steps.c.output.x }}'}}]}]}\n"
        "- {id: e, set: {x: '{{ steps.c.output.x }}'}}"
    )

    assert in_workflow(steps) == [
        "steps[0].branch[1].steps[0].set.x: the step 'c' is not needed by this one, not even through others"
    ]


def test_input_that_a_closed_schema_does_not_have_is_an_error() -> None:
    schema = "input: {type: object, additionalProperties: false, properties: {a: {}}}"

    assert in_workflow("- {id: a, set: {x: '{{ input.a }}{{ input.b }}'}}", schema) == [
        "steps[0].set.x: the input has no key 'b'; its schema has: a"
    ]
    assert in_workflow("- {id: a, set: {x: '{{ input.b }}'}}", "input: {properties: {a: {}}}") == []


@pytest.mark.parametrize(
    ("key", "error"),
    [
        (
            "concurrency: {key: '{{ steps.a.output }}', limit: 1}",
            "concurrency.key: the step 'a' cannot be named here",
        ),
        ("concurrency: {key: a}", "concurrency: needs the key `limit`"),
        ("finally: []", "finally: must have at least 1"),
        ("finally: [{id: a, set: {x: 1}}]", "finally[0].id: there is another step 'a'"),
    ],
)
def test_keys_of_a_workflow_are_checked(key: str, error: str) -> None:
    found = in_workflow("- {id: a, set: {x: 1}}", key)

    assert any(error in one for one in found), found


def test_steps_at_the_end_may_name_all_others() -> None:
    assert not in_workflow("- {id: a, set: {x: 1}}", "finally: [{id: b, set: {y: '{{ steps.a.output.x }}'}}]")


def test_inserted_messages_are_checked_where_the_prompt_is_used() -> None:
    prompt = "---\nkind: Prompt\nname: h\nmessages: [{insert: '{{ steps.history.output }}'}]\n"
    workflow = "---\nkind: Workflow\nname: w\nsteps: [{id: a, prompt: h, route: chat}]\n"

    (error,) = errors_of(BASE + prompt + workflow)

    assert error.endswith("prompt: there is no step 'history' (in an `insert` of the Prompt)")


def test_references_reach_into_the_catalog() -> None:
    catalog = Catalog(
        names={"Prompt": {"saved": 3}, "Route": {"r": 1}, "Provider": {"openai": 1}},
        bodies={
            ("Prompt", "saved"): {"variables": {"v": {}}},
            ("Provider", "openai"): {"models": [{"name": "org/m"}]},
        },
    )
    text = (
        "kind: Workflow\nname: w\nsteps: [{id: a, prompt: saved@3, route: r}, {id: b, prompt: saved, route: r}]\n"
        "---\nkind: Route\nname: s\ntargets: [openai/org/m]\n"
    )

    assert errors_of(text, catalog) == ["f.yaml:3: steps[1].with: the Prompt 'saved' needs the variable 'v'"]


def test_large_workflow_is_checked_soon() -> None:
    steps = [
        {"id": f"s{n}", "set": {"x": f"{{{{ steps.s{n - 1}.output.x }}}}" if n else 1}} for n in range(1_000)
    ]
    document = Document("Workflow", "w", {"kind": "Workflow", "name": "w", "steps": steps})
    started = time.thread_time()

    assert check([document], catalog=Catalog()) == ()
    assert time.thread_time() - started < 4


def test_too_many_steps_are_refused_soon() -> None:
    case = {"when": "true", "steps": [{"id": f"a{n}", "set": {"x": 1}} for n in range(90)]}
    steps = [{"id": f"b{n}", "branch": [case] * 10} for n in range(5)]
    document = Document("Workflow", "w", {"kind": "Workflow", "name": "w", "steps": steps})
    started = time.thread_time()

    errors = check([document], catalog=Catalog())

    assert [error.message for error in errors] == ["has 4,505 steps; at most 1,000 are allowed"]
    assert time.thread_time() - started < 4


ODD: st.SearchStrategy[Any] = JSON | st.sampled_from(
    ["a", "triage", "{{ x }}", "{{ steps.a }}", "steps.a.output", "1s", {}, [], None]
)
STEPS = st.lists(
    st.dictionaries(st.sampled_from(["id", "needs", "when", "with", *STEP_SHAPES]), ODD, max_size=5) | ODD,
    max_size=4,
)
KEYS = [
    "steps",
    "input",
    "output",
    "targets",
    "messages",
    "variables",
    "models",
    "rules",
    "http",
    "embedding",
    "api",
]


@settings(max_examples=25)
@given(
    st.sampled_from(["Provider", "Route", "Prompt", "Tool", "Corpus", "Workflow"]),
    st.dictionaries(st.sampled_from(KEYS), ODD | STEPS, max_size=6),
    STEPS,
)
def test_any_structure_is_right_or_has_errors(kind: str, body: dict[str, Any], steps: Any) -> None:
    for inner in (body, {**body, "steps": steps}, {**body, "steps": [{"id": "m", "map": {"steps": steps}}]}):
        document = Document(kind, "a", {"kind": kind, "name": "a", **inner})
        other = Document("Prompt", "triage", {"kind": "Prompt", "name": "triage", **inner})

        check([document, other], catalog=Catalog())


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (
            [{"id": "a", "set": {str(n): "{{ " + "a ~ " * 4_000 + "a }}" for n in range(70)}}],
            "of expressions",
        ),
        ([{"id": "a", "set": {"x": {"pattern": "a"}}} for _ in range(1_001)], "more than 1,000 patterns"),
    ],
)
def test_batch_that_would_take_minutes_is_refused_at_once(steps: Any, message: str) -> None:
    document = Document("Workflow", "w", {"kind": "Workflow", "name": "w", "steps": steps})
    started = time.thread_time()

    (error,) = check([document], catalog=Catalog())

    assert message in error.message
    assert time.thread_time() - started < 1


def test_thousands_of_wrong_names_are_told_soon() -> None:
    routes = [
        Document("Route", f"r{n}", {"kind": "Route", "name": f"r{n}", "targets": [f"p{n}/m"]})
        for n in range(3_000)
    ]
    started = time.thread_time()

    errors = check(routes, catalog=Catalog(names={"Provider": {f"provider-{n}": 1 for n in range(2_000)}}))

    assert len(errors) == 1_001
    assert any("these are the first 1,000 errors" in error.message for error in errors)
    assert time.thread_time() - started < 4
