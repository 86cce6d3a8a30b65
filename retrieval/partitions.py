"""The partitions of one corpus: two tables that hold its chunks and its spans.

Raw SQL. May not read or write rows; writers and readers name the partition (`chunks`, `spans`), so that the
planner opens nothing else.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from django.db import connection
from psycopg import sql

# What an HNSW index can hold (pgvector, halfvec); larger vectors are searched exactly.
MAX_INDEXED_DIMS: Final = 4000

_CREATE: Final = """
CREATE TABLE {chunks} (LIKE retrieval_chunk INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED
    INCLUDING STORAGE);
CREATE TABLE {spans} (LIKE retrieval_span INCLUDING DEFAULTS INCLUDING CONSTRAINTS) WITH (fillfactor = 90);
ALTER TABLE retrieval_chunk ATTACH PARTITION {chunks} FOR VALUES IN ({corpus_id});
ALTER TABLE retrieval_span ATTACH PARTITION {spans} FOR VALUES IN ({corpus_id});
ALTER TABLE {spans} ADD CONSTRAINT {foreign_key} FOREIGN KEY (corpus_id, chunk_id)
    REFERENCES {chunks} (corpus_id, chunk_id);
"""
# The parent's column has no size: the partition checks its own, and indexes the cast to it.
_SIZE: Final = """
ALTER TABLE {chunks} ADD CONSTRAINT {check} CHECK (vector_dims(emb) = {dims});
"""
_INDEX: Final = """
CREATE INDEX {index} ON {chunks} USING hnsw ((emb::halfvec({dims})) halfvec_cosine_ops);
"""
_UNSIZE: Final = """
ALTER TABLE {chunks} DROP CONSTRAINT IF EXISTS {check};
DROP INDEX IF EXISTS {index};
"""


@lru_cache(maxsize=4096)
def chunks(corpus_id: int) -> sql.Identifier:
    return sql.Identifier(f"retrieval_chunk_{corpus_id:d}")


@lru_cache(maxsize=4096)
def spans(corpus_id: int) -> sql.Identifier:
    return sql.Identifier(f"retrieval_span_{corpus_id:d}")


def create(corpus_id: int, *, dims: int) -> None:
    """Make the partitions, inside the caller's transaction.

    Tables are made first and attached then: attaching lets the other corpora be read and written meanwhile.
    """
    _run(_CREATE, corpus_id, dims)
    size(corpus_id, dims=dims)


def size(corpus_id: int, *, dims: int) -> None:
    """Set the size of the vectors of a corpus that has none yet."""
    _run(_UNSIZE + _SIZE + (_INDEX if dims <= MAX_INDEXED_DIMS else ""), corpus_id, dims)


def _run(statements: str, corpus_id: int, dims: int) -> None:
    names = {
        "chunks": chunks(corpus_id),
        "spans": spans(corpus_id),
        "check": sql.Identifier(f"retrieval_chunk_{corpus_id:d}_dims"),
        "index": sql.Identifier(f"retrieval_chunk_{corpus_id:d}_hnsw"),
        "foreign_key": sql.Identifier(f"retrieval_span_{corpus_id:d}_chunk"),
    }
    query = sql.SQL(statements).format(corpus_id=sql.Literal(corpus_id), dims=sql.Literal(dims), **names)
    with connection.cursor() as cursor:
        cursor.execute(query)
