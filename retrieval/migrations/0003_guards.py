"""Guards in the database: what no code, old or new, may do to a published state.

Each refusal is a check violation (SQLSTATE 23514), so Django raises IntegrityError.
"""

from __future__ import annotations

from django.db import migrations

# Reading the snapshot FOR SHARE makes a publish or an abandonment, which updates that row, wait for the writers
# of the draft, and later writers see the new state: no row can slip into a snapshot that is closed.
SPANS = """
CREATE FUNCTION retrieval_span_insert() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found_state text;
BEGIN
    SELECT state INTO found_state FROM retrieval_snapshot
    WHERE corpus_id = NEW.corpus_id AND number = NEW.added FOR SHARE;
    IF found_state IS DISTINCT FROM 'draft' OR NEW.removed <> 2147483647 THEN
        RAISE EXCEPTION 'spans are added to a draft only: snapshot % of corpus % is %',
            NEW.added, NEW.corpus_id, coalesce(found_state, 'unknown') USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER retrieval_span_insert BEFORE INSERT ON retrieval_span
    FOR EACH ROW EXECUTE FUNCTION retrieval_span_insert();

CREATE FUNCTION retrieval_span_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.corpus_id, NEW.added, NEW.doc_version_id, NEW.ordinal, NEW.chunk_id, NEW.document_id, NEW.start, NEW.stop)
        IS DISTINCT FROM
       (OLD.corpus_id, OLD.added, OLD.doc_version_id, OLD.ordinal, OLD.chunk_id, OLD.document_id, OLD.start, OLD.stop)
       OR OLD.removed <> 2147483647
       OR NOT EXISTS (SELECT FROM retrieval_snapshot WHERE corpus_id = OLD.corpus_id
                      AND number = NEW.removed AND state = 'publishing')
    THEN
        RAISE EXCEPTION 'the only change of a span is that a snapshot being published closes it (corpus %, added %)',
            OLD.corpus_id, OLD.added USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER retrieval_span_update BEFORE UPDATE ON retrieval_span
    FOR EACH ROW EXECUTE FUNCTION retrieval_span_update();

CREATE FUNCTION retrieval_span_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM retrieval_snapshot WHERE corpus_id = OLD.corpus_id AND number = OLD.added FOR SHARE;
    IF EXISTS (SELECT FROM retrieval_snapshot WHERE corpus_id = OLD.corpus_id
               AND number >= OLD.added AND number < OLD.removed AND state IN ('publishing', 'published'))
    THEN
        RAISE EXCEPTION 'a published snapshot of corpus % still sees this span (added %)',
            OLD.corpus_id, OLD.added USING ERRCODE = '23514';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER retrieval_span_delete BEFORE DELETE ON retrieval_span
    FOR EACH ROW EXECUTE FUNCTION retrieval_span_delete();
"""

CHUNKS = """
CREATE FUNCTION retrieval_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% rows never change', TG_TABLE_NAME USING ERRCODE = '23514';
END $$;
CREATE TRIGGER retrieval_chunk_update BEFORE UPDATE ON retrieval_chunk
    FOR EACH ROW EXECUTE FUNCTION retrieval_immutable();
CREATE TRIGGER retrieval_documentversion_update BEFORE UPDATE ON retrieval_documentversion
    FOR EACH ROW EXECUTE FUNCTION retrieval_immutable();
"""

SNAPSHOTS = """
CREATE FUNCTION retrieval_snapshot_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'draft' OR EXISTS (SELECT FROM retrieval_snapshot
                                           WHERE corpus_id = NEW.corpus_id AND number >= NEW.number) THEN
            RAISE EXCEPTION 'a snapshot starts as a draft with the highest number of its corpus (%, number %, %)',
                NEW.corpus_id, NEW.number, NEW.state USING ERRCODE = '23514';
        END IF;
        RETURN NEW;
    ELSIF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'snapshots are kept: snapshot % of corpus %', OLD.number, OLD.corpus_id
            USING ERRCODE = '23514';
    END IF;
    IF (NEW.corpus_id, NEW.number, NEW.base) IS DISTINCT FROM (OLD.corpus_id, OLD.number, OLD.base)
       OR (OLD.state || '>' || NEW.state) NOT IN
          ('draft>draft', 'draft>publishing', 'draft>abandoned', 'publishing>published', 'published>collected')
       OR (OLD.state = 'published' AND (NEW.root_hash, NEW.documents, NEW.chunks, NEW.model)
           IS DISTINCT FROM (OLD.root_hash, OLD.documents, OLD.chunks, OLD.model))
       OR (NEW.state = 'publishing' AND OLD.number <=
           (SELECT coalesce(head, 0) FROM retrieval_corpus WHERE id = OLD.corpus_id))
       OR (NEW.state = 'abandoned' AND EXISTS (SELECT FROM retrieval_span
                                               WHERE corpus_id = OLD.corpus_id AND added = OLD.number))
    THEN
        RAISE EXCEPTION 'snapshot % of corpus % may not go from % to % like this',
            OLD.number, OLD.corpus_id, OLD.state, NEW.state USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER retrieval_snapshot_guard BEFORE INSERT OR UPDATE OR DELETE ON retrieval_snapshot
    FOR EACH ROW EXECUTE FUNCTION retrieval_snapshot_guard();

CREATE FUNCTION retrieval_head_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.head IS DISTINCT FROM OLD.head AND (
        NEW.head IS NULL OR NEW.head < OLD.head
        OR NOT EXISTS (SELECT FROM retrieval_snapshot
                       WHERE corpus_id = NEW.id AND number = NEW.head AND state = 'published'))
    THEN
        RAISE EXCEPTION 'the head of corpus % moves forward to a published snapshot only (% to %)',
            OLD.name, OLD.head, NEW.head USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER retrieval_head_guard BEFORE UPDATE ON retrieval_corpus
    FOR EACH ROW EXECUTE FUNCTION retrieval_head_guard();
"""

REVERSE = """
DROP TRIGGER retrieval_head_guard ON retrieval_corpus;
DROP TRIGGER retrieval_snapshot_guard ON retrieval_snapshot;
DROP TRIGGER retrieval_documentversion_update ON retrieval_documentversion;
DROP TRIGGER retrieval_chunk_update ON retrieval_chunk;
DROP TRIGGER retrieval_span_delete ON retrieval_span;
DROP TRIGGER retrieval_span_update ON retrieval_span;
DROP TRIGGER retrieval_span_insert ON retrieval_span;
DROP FUNCTION retrieval_head_guard, retrieval_snapshot_guard, retrieval_immutable,
    retrieval_span_delete, retrieval_span_update, retrieval_span_insert;
"""


class Migration(migrations.Migration):
    dependencies = [("retrieval", "0002_schema")]
    operations = [migrations.RunSQL(SPANS + CHUNKS + SNAPSHOTS, REVERSE)]
