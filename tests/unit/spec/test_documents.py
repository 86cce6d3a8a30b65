"""From text to documents with lines, and back."""

import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows.spec import documents, writing
from workflows.spec.documents import Document, Loaded, Media, SourceText, content_hash

HEAD = "kind: Route\nname: a\n"

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | st.sampled_from(
        ["on", "no", "~", "0o7", "1e3", "- a", "a: b", "# c", "a\nb", "a\n", "\n", "<<", "2020-01-01"]
    ),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=30,
)
BODIES = st.dictionaries(TEXT, JSON, max_size=6).map(lambda body: {**body, "kind": "Route", "name": "a"})


def load(text: bytes | str, media: Media = "yaml") -> Loaded:
    return documents.load([SourceText("f.yaml", text, media)])


def body_of(text: str) -> Mapping[str, Any]:
    loaded = load(text)
    assert loaded.errors == ()
    return loaded.documents[0].body


def errors_of(text: bytes | str, media: Media = "yaml") -> list[str]:
    return [str(error) for error in load(text, media).errors]


def test_scalars_follow_the_core_schema() -> None:
    body = body_of(
        HEAD
        + "on: yes\na: [no, off, 0o17, 0x1F, 017, 1_000, 1:30, 2020-01-01, 1.50, 1e3, -2, .5, ~, True, '1']"
    )

    assert body["on"] == "yes"
    assert body["a"] == [
        "no", "off", 15, 31, 17, "1_000", "1:30", "2020-01-01", 1.5, 1000.0, -2, 0.5, None, True, "1",
    ]  # fmt: skip


def test_every_node_has_its_line() -> None:
    (document,) = load(
        HEAD + "targets:\n  - a/b\n  - model: c/d\n    weight: 1\nretry: {attempts:\n   3}\n"
    ).documents

    assert document.where.find(("targets",)) == ("f.yaml", 3)
    assert document.where.find(("targets", 1)) == ("f.yaml", 5)
    assert document.where.find(("targets", 1, "weight")) == ("f.yaml", 6)
    assert document.where.find(("targets", 1, "absent")) == ("f.yaml", 5)
    assert document.where.find(("retry", "attempts")) == ("f.yaml", 7)


def test_files_hold_several_documents_and_empty_ones_are_skipped() -> None:
    loaded = load(f"---\n---\n{HEAD}---\nkind: Prompt\nname: b\n...\n---\n")

    assert loaded.errors == ()
    assert [(document.kind, document.name) for document in loaded.documents] == [
        ("Route", "a"),
        ("Prompt", "b"),
    ]


def test_aliases_share_a_value() -> None:
    assert body_of(HEAD + "x: &x {a: [1]}\ny: *x")["y"] == {"a": [1]}


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        (HEAD + "a: 1\na: 2\nb:\n  c: 1\n  c: 2", [
            "f.yaml:4: a: this key is there twice; the first is in line 3",
            "f.yaml:7: b.c: this key is there twice; the first is in line 6",
        ]),
        (HEAD + "1: a\ntrue: b", [
            "f.yaml:3: the key '1' is not text; put quotes around it",
            "f.yaml:4: the key 'true' is not text; put quotes around it",
        ]),
        (HEAD + "<<: {a: b}", ["f.yaml:3: merge keys (`<<`) are not allowed"]),
        (HEAD + "? [a]\n: 1", ["f.yaml:3: a key has to be text, not a list or mapping"]),
        (HEAD + "x: !!python/object:os.system ls\ny: !a 3", [
            "f.yaml:3: x: the tag 'tag:yaml.org,2002:python/object:os.system': tags are not allowed",
            "f.yaml:4: y: the tag '!a': tags are not allowed",
        ]),
        (HEAD + "x: [.inf, 1e999, 0.10000000000000000555]", [
            "f.yaml:3: x[0]: only finite numbers are allowed; put quotes around it if it is text",
            "f.yaml:3: x[1]: this number has more digits than can be kept; put quotes around it",
            "f.yaml:3: x[2]: this number has more digits than can be kept; put quotes around it",
        ]),
        (HEAD + 'x: "a\\0b"', ["f.yaml:3: x: text may not hold a NUL character"]),
        (HEAD + "x: &a [*a]", ["f.yaml:3: x[0]: the alias *a is used from inside the value that it names"]),
        (HEAD + "x: *b", ["f.yaml:3: x: the alias *b is used before its anchor"]),
        ("a: b: c", ["f.yaml:1: this is not YAML: mapping values are not allowed in this context"]),
        (b"a: b\nkind: \xff", ["f.yaml:2: this file is not UTF-8: byte 0xff"]),
        ("\ufeffa: b", ["f.yaml:1: this file starts with a byte order mark; save it as UTF-8 without one"]),
        (HEAD + "\0", ["f.yaml:3: this file holds a NUL character; it seems not to be text"]),
        ("\ud800", ["f.yaml:1: this text holds half of a character (a lone surrogate)"]),
        ("x" * 5_000_001, ["f.yaml: this file is larger than 5,000,000 bytes; split it"]),
        ("[a]", ["f.yaml:1: a document is a mapping with `kind` and `name`"]),
        ("name: a", [
            "f.yaml:1: kind: a document needs a `kind`: one of "
            "Provider, Route, Prompt, Tool, Corpus, Workflow, Environment, Schedule, Webhook"
        ]),
        ("kind: Rout\nname: a", ["f.yaml:1: kind: there is no kind 'Rout'; did you mean Route?"]),
        ("kind: Budget\nname: a", ["f.yaml:1: kind: the kind Budget is not supported by this version"]),
        ("kind: Route\nname: A", [
            "f.yaml:2: name: a Route needs a `name` of lower-case letters, digits and hyphens, "
            "starting with a letter, 63 characters at the most"
        ]),
    ],
)  # fmt: skip
def test_yaml_error_names_file_line_and_path(text: bytes | str, errors: list[str]) -> None:
    assert errors_of(text) == errors


def test_tab_in_the_indentation_is_refused() -> None:
    (error,) = errors_of(HEAD + "x:\n\ta: b")

    assert error.startswith("f.yaml:4: ")
    assert "tab" in error


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"kind": "Route",\n"name": "a", "x": 1, "x": 2}', "f.yaml:2: x: this key is there twice"),
        ('{"a":1,}', "f.yaml:1: this is not JSON: a key in double quotes is needed here"),
        ('{"a" 1}', "f.yaml:1: a: this is not JSON: a colon is needed after the key"),
        ("[1 2]", "f.yaml:1: [1]: this is not JSON: a comma or `]` is needed here"),
        ("[NaN]", "f.yaml:1: [0]: this is not JSON: a value is needed here"),
        ("", "f.yaml:1: this is not JSON: a value is needed here"),
        ('[\n"a\nb"]', "f.yaml:2: [0]: this is not JSON: invalid control character at"),
        ('["\\ud800"]', "f.yaml:1: [0]: text may not hold a NUL character or half of a character"),
        (HEAD, "f.yaml:1: this is not JSON: a value is needed here"),
    ],
)
def test_json_error_names_line_and_path(text: str, error: str) -> None:
    assert any(found.startswith(error) for found in errors_of(text, "json"))


def test_json_is_a_list_of_documents_or_one() -> None:
    one = '{"kind":"Route","name":"a","x":[1,2.5,"\\ud83d\\ude00",null,true,{},[]]}'

    assert load(one, "json").documents[0].body["x"] == [1, 2.5, "😀", None, True, {}, []]
    assert len(load(f"[{one},\n{one}]", "json").documents) == 2
    assert load(f"[{one},\n{one}]", "json").documents[1].where.find(("name",)) == ("f.yaml", 2)


BILLION_LAUGHS = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
)


@pytest.mark.parametrize(
    ("text", "media"),
    [
        (HEAD + BILLION_LAUGHS, "yaml"),
        (HEAD + "steps:\n" + "- {id: a, set: {a: b}}\n" * 100_000, "yaml"),
        ('[{"kind":"Route","name":"a","s":[' + ",".join(['{"id":"a"}'] * 100_000) + "]}]", "json"),
        (HEAD + "x: " + "[" * 100_000, "yaml"),
        (HEAD + "x: " + "{" * 100_000, "yaml"),
        (HEAD + "x: " + "? " * 100_000, "yaml"),
        (HEAD + "x:\n" + "".join(" " * i + "-\n" for i in range(1, 1_500)), "yaml"),
        ("[" * 1_000_000, "json"),
        ('{"a":' * 1_000_000, "json"),
        (HEAD + "x: '" + "a" * 4_000_000, "yaml"),
        (HEAD + "&a " * 100_000, "yaml"),
        ("---\n" * 1_000_000 + "a", "yaml"),
        ("\x07" * 1_000_000, "yaml"),
    ],
    ids=lambda value: value[:30],
)
def test_hostile_document_gets_an_error_soon(text: str, media: Media) -> None:
    started = time.thread_time()

    loaded = load(text, media)

    assert loaded.errors
    assert time.thread_time() - started < 2


@settings(max_examples=30)
@given(st.lists(BODIES, max_size=3), st.sampled_from(["yaml", "json"]))
def test_what_is_dumped_reads_back_the_same(bodies: list[dict[str, Any]], format: Media) -> None:
    loaded = load(writing.dump(bodies, format), format)

    assert loaded.errors == ()
    assert [dict(document.body) for document in loaded.documents] == bodies


@settings(max_examples=30)
@given(BODIES)
def test_hash_is_the_same_whatever_the_order_of_keys(body: dict[str, Any]) -> None:
    assert content_hash(body) == content_hash(dict(reversed(body.items())))


def test_hash_sees_content_not_spelling() -> None:
    assert content_hash({"a": 1.0, "b": [1e20]}) == content_hash({"b": [10**20], "a": 1})
    assert content_hash({"a": 1}) != content_hash({"a": "1"})
    assert content_hash({"a": True}) != content_hash({"a": 1})


@given(st.binary() | st.text() | st.text("[]{},:-?&*!|>'\"% \n\tab0#"), st.sampled_from(["yaml", "json"]))
def test_any_text_is_documents_or_errors(text: bytes | str, media: Media) -> None:
    loaded = load(text, media)

    assert all(isinstance(document, Document) for document in loaded.documents)


def test_dumped_yaml_is_pleasant_to_read() -> None:
    body = {
        "kind": "Prompt",
        "name": "triage",
        "variables": {"ticket": {"type": "string"}},
        "messages": [
            {"role": "system", "content": "You sort tickets.\nBe brief."},
            {"role": "user", "content": "{{ ticket }}"},
        ],
        "params": {"temperature": 0, "stop": ["on", "a b"]},
    }

    assert writing.dump([body]) == (
        "kind: Prompt\n"
        "name: triage\n"
        "variables:\n"
        "  ticket: {type: string}\n"
        "messages:\n"
        "  - role: system\n"
        "    content: |-\n"
        "      You sort tickets.\n"
        "      Be brief.\n"
        '  - {role: user, content: "{{ ticket }}"}\n'
        "params:\n"
        "  temperature: 0\n"
        '  stop: ["on", a b]\n'
    )
