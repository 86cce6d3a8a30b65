"""Search of a pinned snapshot beside the same SQL written by hand, recall of the index, and publishing.

`python -m tests.benchmarks.snapshot_search`. Vectors are made up: points around a few hundred centres, 384
dimensions. By hand: one statement on a bare psycopg connection, which knows the tables and checks nothing;
not prepared, since what works behind a transaction pooler keeps nothing in a session.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import psycopg
from django.db import connection
from numpy.typing import NDArray

from retrieval import corpora, embedding, ingest, partitions, search
from retrieval.models import Change, Corpus, Document, DocumentVersion
from tests.benchmarks import frame
from tests.benchmarks.frame import Row, Stand

DIMS: Final = 384
PASSAGES: Final = 10  # a document
SMALL: Final = 20_000
LARGE: Final = 60_000  # above `search.EXACT_LIMIT`
QUERIES: Final = 40
GOAL: Final = 1.2
RECALL: Final = 0.98

_VISIBLE: Final = """
FROM retrieval_span_{id} AS span
JOIN retrieval_chunk_{id} AS chunk ON chunk.corpus_id = {id} AND chunk.chunk_id = span.chunk_id
WHERE span.corpus_id = {id} AND span.added <= 1 AND span.removed > 1
"""
_TAKE: Final = """
SELECT near.chunk_id, chunk.body, document.name, version.source, version.metadata, near.distance
FROM near JOIN retrieval_chunk_{id} AS chunk ON chunk.corpus_id = {id} AND chunk.chunk_id = near.chunk_id
JOIN retrieval_documentversion AS version ON version.id = near.doc_version_id
JOIN retrieval_document AS document ON document.id = version.document_id
ORDER BY near.distance, near.chunk_id LIMIT 8
"""
EXACT: Final = (
    "WITH near AS MATERIALIZED (SELECT span.chunk_id, span.doc_version_id,"
    " (chunk.emb::halfvec(384) <=> %(vector)s::halfvec(384)) + 0 AS distance"
    + _VISIBLE
    + " ORDER BY distance, span.chunk_id LIMIT 50)"
    + _TAKE
)
INDEXED: Final = (
    "WITH near AS MATERIALIZED (SELECT span.chunk_id, span.doc_version_id,"
    " chunk.emb::halfvec(384) <=> %(vector)s::halfvec(384) AS distance"
    + _VISIBLE
    + " ORDER BY distance LIMIT 50)"
    + _TAKE
)


def points(count: int, seed: int) -> NDArray[np.float32]:
    """Draw `(count, 384) float32`: centres in 48 dimensions, noise around them, spread over all."""
    spread = np.random.default_rng(7).standard_normal((48, DIMS))
    chance = np.random.default_rng(seed)
    centres = np.random.default_rng(8).standard_normal((300, 48))
    near = centres[chance.integers(0, 300, count)] + 0.6 * chance.standard_normal((count, 48))
    return (near @ spread).astype(np.float32)


def fill(name: str, count: int) -> Corpus:
    """Publish a corpus of made-up chunks: copied first, indexed then, as a bulk load would."""
    corpus = corpora.ensure(
        name, embedding="bench/e", dims=DIMS, chunk_tokens=400, chunk_overlap=0, publish="auto"
    )
    draft = ingest.open_draft(name, actor="bench")
    documents = Document.objects.bulk_create(
        [Document(corpus=corpus, name=f"d{n}") for n in range(count // PASSAGES)]
    )
    versions = DocumentVersion.objects.bulk_create([_version(corpus, document) for document in documents])
    Change.objects.bulk_create(
        [
            Change(corpus=corpus, number=1, document_id=one.document_id, action="put", version=one)
            for one in versions
        ]
    )
    _copy(corpus, versions, count)
    ingest.publish(draft)
    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM ANALYZE retrieval_chunk_{corpus.id}, retrieval_span_{corpus.id}")
    return corpus


def _version(corpus: Corpus, document: Document) -> DocumentVersion:
    sha = hashlib.sha256(document.name.encode()).digest()
    return DocumentVersion(
        corpus=corpus,
        document=document,
        number=1,
        source=document.name,
        media_type="text/plain",
        size=1,
        source_sha=sha,
        content_sha=sha,
        metadata={"n": document.pk},
        text="x",
        chunks=PASSAGES,
    )


def _copy(corpus: Corpus, versions: Sequence[DocumentVersion], count: int) -> None:
    words = [f"word{n}" for n in range(2000)]
    chance = np.random.default_rng(1)
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX retrieval_chunk_{corpus.id}_hnsw")
        columns = "(corpus_id, chunk_id, model, text_sha, body, emb)"
        cursor.execute("SELECT coalesce(max(chunk_id), 0) FROM retrieval_chunk")
        first = (cursor.fetchone() or (0,))[0] + 1
        with cursor.copy(f"COPY retrieval_chunk_{corpus.id} {columns} FROM STDIN") as copy:
            for at, vector in enumerate(points(count, seed=2), start=first):
                body = " ".join(chance.choice(words, 40))
                sha = "\\x" + hashlib.sha256(f"{at}".encode()).hexdigest()
                copy.write_row((corpus.id, at, "bench/e", sha, body, embedding.literal(vector)))
        columns = "(corpus_id, added, chunk_id, document_id, doc_version_id, ordinal, start, stop)"
        with cursor.copy(f"COPY retrieval_span_{corpus.id} {columns} FROM STDIN") as copy:
            for at in range(count):
                one = versions[at // PASSAGES]
                row = (corpus.id, 1, first + at, one.document_id, one.pk, at % PASSAGES, at, at + 1)
                copy.write_row(row)
    started = time.monotonic()
    partitions.size(corpus.id, dims=DIMS)
    frame.note(f"{corpus.name}: HNSW index on {count:,} chunks built in {time.monotonic() - started:.0f} s")


def timed(call: Callable[[int], object]) -> float:
    """Return the median milliseconds of the call over all queries."""
    samples = []
    for at in range(QUERIES):
        started = time.perf_counter()
        call(at)
        samples.append(1000 * (time.perf_counter() - started))
    return frame.percentile(samples, 0.5)


def compare(what: str, rounds: int, ours: Callable[[int], object], by_hand: Callable[[int], object]) -> Row:
    """Interleave both sides; the median of the rounds' medians counts."""
    pairs = [(timed(ours), timed(by_hand)) for _ in range(rounds + 1)][1:]
    mine, theirs = (frame.percentile([pair[side] for pair in pairs], 0.5) for side in (0, 1))
    return Row(
        what=what,
        ours=f"{mine:.1f} ms",
        baseline=f"by hand {theirs:.1f} ms",
        ratio=f"{mine / theirs:.2f}",
        goal=f"≤ {GOAL}",
        met=mine <= GOAL * theirs,
    )


def measure(stand: Stand, rounds: int, scale: float) -> list[Row]:
    queries = points(QUERIES, seed=3)
    rows = []
    url = stand.servers.postgres.url()
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as bare:
        small, large = fill("small", int(SMALL * scale)), fill("large", max(LARGE, search.EXACT_LIMIT + 100))
        for corpus, statement, index in ((small, EXACT, "exact"), (large, INDEXED, "hnsw")):
            ours = _ours(corpus, queries, index)
            by_hand = _by_hand(bare, statement.replace("{id}", str(corpus.id)), corpus, queries)
            rows.append(compare(f"snapshot search, {corpus.name}, {index}, p50", rounds, ours, by_hand))
    rows += [_recall(queries), _publish_row(small)]
    return rows


def _ours(corpus: Corpus, queries: NDArray[np.float32], index: str) -> Callable[[int], object]:
    def call(at: int) -> object:
        result = search.search(corpus.name, snapshot=1, query="", query_vector=queries[at], mode="vector")
        assert result.index == index
        assert len(result.hits) == 8
        return result

    return call


def _by_hand(
    bare: psycopg.Connection, statement: str, corpus: Corpus, queries: NDArray[np.float32]
) -> Callable[[int], object]:
    indexed = "+ 0" not in statement
    ef = search.ef_for(LARGE)

    def call(at: int) -> object:
        parameters = {"vector": embedding.literal(queries[at])}
        if not indexed:
            return bare.execute(statement, parameters).fetchall()
        with bare.transaction():
            bare.execute(f"SET LOCAL hnsw.ef_search = {ef}")
            bare.execute("SET LOCAL hnsw.iterative_scan = relaxed_order")
            return bare.execute(statement, parameters).fetchall()

    return call


def _recall(queries: NDArray[np.float32]) -> Row:
    shares = []
    for vector in queries:
        found = [
            {
                hit.chunk_id
                for hit in search.search(
                    "large", snapshot=1, query="", query_vector=vector, mode="vector", top_k=10, index=index
                ).hits
            }
            for index in ("auto", "exact")
        ]
        shares.append(len(found[0] & found[1]) / len(found[1]))
    recall = float(np.mean(shares))
    return Row(
        what="recall@10 of the index against exact",
        ours=f"{recall:.3f}",
        goal=f"≥ {RECALL}",
        met=recall >= RECALL,
    )


def _publish_row(corpus: Corpus) -> Row:
    """Publish a snapshot that replaces 1 % of the documents."""
    draft = ingest.open_draft(corpus.name, actor="bench")
    share = max(1, Document.objects.filter(corpus=corpus).count() // 100)
    for number in range(share):
        ingest.remove_document(draft, f"d{number}")
    started = time.perf_counter()
    ingest.publish(draft)
    took = 1000 * (time.perf_counter() - started)
    return Row(
        what=f"publish, {share} documents closed", ours=f"{took:.0f} ms", goal="≤ 100 ms", met=took <= 100
    )


if __name__ == "__main__":
    frame.alone(measure)
