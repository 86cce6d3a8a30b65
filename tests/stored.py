"""Everything that the database holds, as text: to look for what must not be there."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator

from django.db import connection
from psycopg import sql

from workflows.payloads import PARTS


def texts() -> Iterator[tuple[str, str]]:
    """Yield (table, row as text) of every row of every table of ours; payloads are unpacked."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(sql.SQL("SELECT to_jsonb(t)::text FROM {} t").format(sql.Identifier(table)))
            yield from ((table, text) for (text,) in cursor.fetchall())
            cursor.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND data_type = 'bytea'",
                [table],
            )
            for (column,) in cursor.fetchall():
                named = sql.Identifier(column), sql.Identifier(table)
                cursor.execute(sql.SQL("SELECT {0} FROM {1} WHERE {0} IS NOT NULL").format(*named))
                yield from ((f"{table}.{column}", _unpacked(bytes(body))) for (body,) in cursor.fetchall())


def _unpacked(body: bytes) -> str:
    packed = body.removeprefix(PARTS)
    with contextlib.suppress(zlib.error):
        body = zlib.decompress(packed)
    return body.decode("utf-8", "replace")


def holding(*wanted: str) -> list[tuple[str, str]]:
    """Return the rows in which one of the texts stands."""
    return [(table, text[:2000]) for table, text in texts() if any(each in text for each in wanted)]
