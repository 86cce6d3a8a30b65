"""Ingest as a durable workflow: documents in, a snapshot out, whatever happens on the way."""

from typing import Any

import pytest

from retrieval import corpora, drafts, snapshots
from retrieval.models import Corpus, Snapshot
from tests.engine import OPERATOR, apply, check_journal, claim, drain, expire, output, wake
from workflows import definitions, runs
from workflows.builtin import ingest
from workflows.builtin.ingest import Upload
from workflows.errors import Invalid, UnknownObject
from workflows.models import Run
from workflows.spec.documents import SourceText

WORDS = """
kind: Provider
name: fake
api: scripted
models: [{name: words, embeds: 64}]
---
kind: Corpus
name: handbook
embedding: fake/words
chunk: {tokens: 60, overlap: 5}
"""


def start(*documents: Upload) -> Run:
    return ingest.start("handbook", actor=OPERATOR, trigger="api", documents=documents)


def text(name: str, body: str) -> Upload:
    return Upload(name=name, media_type="text/plain", data=body.encode())


def ended(run: Run) -> Run:
    drain()
    run.refresh_from_db()
    return run


def counts(run: Run) -> dict[str, Any]:
    """Return the figures of an ingest, without the sentence that sums them up."""
    return {name: value for name, value in output(run).items() if name != "summary"}


def test_uploaded_documents_become_a_snapshot() -> None:
    apply(WORDS)
    run = ended(start(text("a.txt", "apples are red"), text("b.txt", "pears are green")))
    assert run.state == "succeeded", run.error
    assert counts(run) == {"snapshot": 1, "processed": 2, "unchanged": 0, "failed": 0}
    assert snapshots.get("handbook", 1).documents == 2
    check_journal(run)


def test_a_bad_document_is_reported_and_the_rest_goes_on() -> None:
    apply(WORDS)
    fake_pdf = Upload(name="report.pdf", media_type="application/pdf", data=b"this is no PDF")
    run = ended(start(text("a.txt", "apples"), fake_pdf, text("nul.txt", "with \x00 inside")))
    assert run.state == "succeeded"
    assert counts(run) == {"snapshot": 1, "processed": 1, "unchanged": 0, "failed": 2}
    failed = corpora.documents("handbook", state="failed")
    assert {each.name: bool(each.reason) for each in failed} == {"report.pdf": True, "nul.txt": True}


def test_a_document_of_many_chunks_takes_many_calls() -> None:
    apply(WORDS)
    long = " ".join(f"word{n} apple" for n in range(8000))
    run = ended(start(text("long.txt", long)))
    assert counts(run) == {"snapshot": 1, "processed": 1, "unchanged": 0, "failed": 0}
    numbers = list(run.calls.order_by("id").values_list("number", flat=True))
    assert len(numbers) > 1
    assert numbers == list(range(len(numbers)))


def test_the_same_document_again_changes_nothing() -> None:
    apply(WORDS)
    ended(start(text("a.txt", "apples")))
    again = ended(start(text("a.txt", "apples")))
    assert counts(again) == {"snapshot": 1, "processed": 0, "unchanged": 1, "failed": 0}


def test_the_same_name_with_other_text_is_a_new_revision() -> None:
    apply(WORDS)
    ended(start(text("a.txt", "apples")))
    assert output(ended(start(text("a.txt", "pears"))))["snapshot"] == 2


def test_a_worker_that_dies_in_the_middle_leaves_nothing_half_published() -> None:
    apply(WORDS)
    run = start(text("a.txt", "apples"), text("b.txt", "pears"))
    for _ in range(4):
        claim()
        assert snapshots.head("handbook") is None
        expire()
        run.steps.update(losses=0, alone=False)
    assert ended(run).state == "succeeded"
    assert snapshots.get("handbook", 1).documents == 2


def test_a_second_ingest_waits_for_the_first() -> None:
    apply(WORDS)
    first = start(text("a.txt", "apples"))
    held = drafts.open_draft("handbook", actor=first.pk)
    second = start(text("b.txt", "pears"))
    runs.cancel(first.pk, actor=OPERATOR)
    Run.objects.filter(pk=first.pk).update(ended_at=None)
    drain()
    second.refresh_from_db()
    assert second.state == "waiting"
    Run.objects.filter(pk=first.pk).update(ended_at="2026-01-01T00:00:00Z")
    wake()
    assert ended(second).state == "succeeded"
    assert Snapshot.objects.get(corpus=Corpus.objects.get(), number=held.number).state == "abandoned"


def test_there_must_be_something_to_ingest() -> None:
    apply(WORDS)
    with pytest.raises(Invalid, match="names no sources, and no document was given"):
        start()


def test_an_unknown_corpus_is_told() -> None:
    with pytest.raises(UnknownObject, match="There is no corpus 'nope'"):
        ingest.start("nope", actor=OPERATOR, trigger="api", documents=[text("a.txt", "x")])


def test_a_document_that_is_too_large_is_refused_before_anything_is_stored() -> None:
    apply(WORDS)
    big = Upload(name="big.txt", media_type="text/plain", data=b"x" * (65 * 1024 * 1024))
    with pytest.raises(Invalid, match=r"Document big\.txt has 68,157,440 bytes; 64,000,000 are allowed"):
        start(big)
    assert not Run.objects.exists()


def test_product_names_are_reserved() -> None:
    hostile = 'kind: Tool\nname: interlock-ingest-add\npython: "builtin:ingest_add"\n'
    applied = definitions.apply([SourceText("x.yaml", hostile, "yaml")], actor=OPERATOR)
    assert [error.path for error in applied.errors] == ["name", "python"]
    other = 'kind: Tool\nname: mine\npython: "builtin:ingest_add"\n'
    assert definitions.apply([SourceText("x.yaml", other, "yaml")], actor=OPERATOR).errors
