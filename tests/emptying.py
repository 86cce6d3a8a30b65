"""Empty the tables after a test that commits: those alone that something was written to.

Django's own way makes every table anew, and writes all content types and permissions once more: a sixth of a second,
which is longer than most tests take. Here what a test left is deleted, in two milliseconds; a table is made anew where
it has grown so that a plan could tell, or was analyzed.
"""

from __future__ import annotations

from typing import Any, Final

import pytest
from django.db import connection
from django.test import TransactionTestCase

# What migrating writes and every test finds alike.
_KEPT: Final = "'django_migrations', 'django_content_type', 'auth_permission'"
# Bytes up to which a table that was never analyzed is planned for as one of ten pages, as an empty one is.
_SMALL: Final = 9 * 8192
_SMALL_ASIDE: Final = 1_000_000  # of its long values
# Whoever is in the middle of a transaction is waited for. No keys between tables are held against what is deleted:
# in the end all are empty.
_EMPTY: Final = f"""
DO $$
DECLARE
    v_table record;
    v_anew text;
BEGIN
    SET LOCAL session_replication_role = replica;
    EXECUTE (SELECT 'LOCK TABLE ' || string_agg(oid::regclass::text, ', ') FROM pg_class
              WHERE relnamespace = 'public'::regnamespace AND relkind = 'r');
    FOR v_table IN
        SELECT oid::regclass::text AS name,
               reltuples < 0 AND pg_relation_size(oid) < {_SMALL}
               AND coalesce(pg_relation_size(nullif(reltoastrelid, 0)), 0) < {_SMALL_ASIDE} AS is_small
          FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND pg_relation_size(oid) > 0
           AND relname NOT IN ({_KEPT})
    LOOP
        IF v_table.is_small THEN
            EXECUTE 'DELETE FROM ' || v_table.name;
        ELSE
            v_anew := concat_ws(', ', v_anew, v_table.name);
        END IF;
    END LOOP;
    IF v_anew IS NOT NULL THEN
        EXECUTE 'TRUNCATE ' || v_anew || ' CASCADE';
    END IF;
END $$
"""  # noqa: S608  no value in it comes from outside


def empty() -> None:
    """Leave every table empty; numbers that were given out are not given again."""
    with connection.cursor() as cursor:
        cursor.execute(_EMPTY)


def instead_of_flushing(patch: pytest.MonkeyPatch) -> None:
    """Empty the tables so after each test that commits."""

    def teardown(_: Any) -> None:
        empty()

    patch.setattr(TransactionTestCase, "_fixture_teardown", teardown)
