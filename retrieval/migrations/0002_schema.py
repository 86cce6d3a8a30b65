"""Corpora, documents, snapshots, and the partitioned chunks and spans."""

from __future__ import annotations

import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.functions.text
from django.db import migrations, models

# `emb` has no size here, because corpora differ: each partition checks its own and indexes the cast.
# Storage `main` keeps the vector beside the row (the body goes out of line first), so that an exact scan
# reads no second table.
PARTITIONED = """
CREATE SEQUENCE retrieval_chunk_id_seq;
CREATE TABLE retrieval_chunk (
    corpus_id integer NOT NULL,
    chunk_id bigint NOT NULL DEFAULT nextval('retrieval_chunk_id_seq'),
    model varchar(200) NOT NULL,
    text_sha bytea NOT NULL,
    body text NOT NULL,
    tsv tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('retrieval_english', body)) STORED,
    emb halfvec NOT NULL,
    CONSTRAINT retrieval_chunk_pk PRIMARY KEY (corpus_id, chunk_id),
    CONSTRAINT retrieval_chunk_text_unique UNIQUE (corpus_id, model, text_sha)
) PARTITION BY LIST (corpus_id);
ALTER TABLE retrieval_chunk ALTER COLUMN emb SET STORAGE MAIN;
CREATE INDEX retrieval_chunk_tsv ON retrieval_chunk USING gin (tsv);

-- No index on `removed`: closing a span stays a HOT update.
CREATE TABLE retrieval_span (
    corpus_id integer NOT NULL,
    added integer NOT NULL,
    removed integer NOT NULL DEFAULT 2147483647,
    chunk_id bigint NOT NULL,
    document_id bigint NOT NULL,
    doc_version_id bigint NOT NULL,
    ordinal integer NOT NULL,
    start integer NOT NULL,
    stop integer NOT NULL,
    CONSTRAINT retrieval_span_pk PRIMARY KEY (corpus_id, added, doc_version_id, ordinal),
    CONSTRAINT retrieval_span_interval CHECK (added < removed),
    CONSTRAINT retrieval_span_offsets CHECK (ordinal >= 0 AND start >= 0 AND stop > start)
) PARTITION BY LIST (corpus_id);
CREATE INDEX retrieval_span_chunk ON retrieval_span (chunk_id);
CREATE INDEX retrieval_span_document ON retrieval_span (document_id, ordinal);
"""
PARTITIONED_REVERSE = """
DROP TABLE retrieval_span;
DROP TABLE retrieval_chunk;
DROP SEQUENCE retrieval_chunk_id_seq;
"""
EXTRA_COLUMNS = """
ALTER TABLE retrieval_embeddingcache ADD COLUMN emb halfvec NOT NULL;
ALTER TABLE retrieval_embeddingcache ADD COLUMN created_at timestamptz NOT NULL DEFAULT now();
"""


class Migration(migrations.Migration):
    dependencies = [("retrieval", "0001_extensions")]

    operations = [
        migrations.CreateModel(
            name="EmbeddingCache",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "model", "text_sha", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("model", models.CharField(max_length=200)),
                ("text_sha", models.BinaryField(max_length=32)),
            ],
        ),
        migrations.CreateModel(
            name="Corpus",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=63, unique=True)),
                ("embedding", models.CharField(max_length=200)),
                ("dims", models.PositiveIntegerField()),
                ("chunk_tokens", models.PositiveIntegerField()),
                ("chunk_overlap", models.PositiveIntegerField()),
                (
                    "publish",
                    models.CharField(
                        choices=[("auto", "Auto"), ("manual", "Manual")], default="auto", max_length=6
                    ),
                ),
                ("head", models.IntegerField(null=True)),
                ("quarantine_epoch", models.IntegerField(default=0)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("chunk_overlap__lt", models.F("chunk_tokens")), ("chunk_tokens__gt", 0)
                        ),
                        name="corpus_chunk_sizes",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("dims__gte", 1), ("dims__lte", 16000)), name="corpus_dims_bounds"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Document",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.TextField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("new", "New"),
                            ("processed", "Processed"),
                            ("failed", "Failed"),
                            ("removed", "Removed"),
                        ],
                        default="new",
                        max_length=9,
                    ),
                ),
                ("reason", models.TextField(blank=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "corpus",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="documents",
                        to="retrieval.corpus",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="DocumentVersion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("source", models.TextField()),
                ("media_type", models.CharField(max_length=100)),
                ("size", models.BigIntegerField()),
                ("source_sha", models.BinaryField(max_length=32)),
                ("content_sha", models.BinaryField(max_length=32)),
                ("metadata", models.JSONField(default=dict)),
                ("text", models.TextField()),
                ("chunks", models.PositiveIntegerField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "corpus",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="retrieval.corpus",
                    ),
                ),
                (
                    "document",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="versions",
                        to="retrieval.document",
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="document",
            name="version",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="retrieval.documentversion",
            ),
        ),
        migrations.CreateModel(
            name="Change",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.IntegerField()),
                (
                    "action",
                    models.CharField(
                        choices=[("put", "Put"), ("remove", "Remove"), ("failed", "Failed")], max_length=6
                    ),
                ),
                ("reason", models.TextField(blank=True)),
                ("at", models.DateTimeField(auto_now=True)),
                (
                    "corpus",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="retrieval.corpus",
                    ),
                ),
                (
                    "document",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="changes",
                        to="retrieval.document",
                    ),
                ),
                (
                    "version",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="retrieval.documentversion",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Quarantine",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("reason", models.TextField()),
                ("actor", models.TextField()),
                ("epoch", models.IntegerField()),
                ("lifted_epoch", models.IntegerField(null=True)),
                ("at", models.DateTimeField(auto_now_add=True)),
                ("lifted_at", models.DateTimeField(null=True)),
                ("lifted_by", models.TextField(blank=True)),
                (
                    "corpus",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="quarantines",
                        to="retrieval.corpus",
                    ),
                ),
                (
                    "document",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="quarantines",
                        to="retrieval.document",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Retrieval",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("snapshot", models.IntegerField()),
                ("quarantine_epoch", models.IntegerField()),
                ("run", models.TextField()),
                ("step", models.TextField()),
                ("epoch", models.IntegerField()),
                ("attempt", models.IntegerField()),
                ("query", models.TextField()),
                ("params", models.JSONField(default=dict)),
                ("mode", models.CharField(max_length=6)),
                ("index", models.CharField(max_length=5)),
                ("result_sha", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "corpus",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="retrieval.corpus",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Hit",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "retrieval", "rank", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("rank", models.IntegerField()),
                ("chunk_id", models.BigIntegerField()),
                ("score", models.FloatField()),
                (
                    "doc_version",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="retrieval.documentversion",
                    ),
                ),
                (
                    "retrieval",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="hits",
                        to="retrieval.retrieval",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Snapshot",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.IntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("draft", "Draft"),
                            ("publishing", "Publishing"),
                            ("published", "Published"),
                            ("abandoned", "Abandoned"),
                            ("collected", "Collected"),
                        ],
                        default="draft",
                        max_length=10,
                    ),
                ),
                ("base", models.IntegerField(null=True)),
                ("copy_of", models.IntegerField(null=True)),
                ("actor", models.TextField()),
                ("reason", models.TextField(blank=True)),
                ("model", models.CharField(max_length=200)),
                ("chunker_hash", models.CharField(max_length=64)),
                ("root_hash", models.CharField(blank=True, max_length=64)),
                ("documents", models.IntegerField(default=0)),
                ("chunks", models.IntegerField(default=0)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("published_at", models.DateTimeField(null=True)),
                (
                    "corpus",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="snapshots",
                        to="retrieval.corpus",
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="documentversion",
            index=django.contrib.postgres.indexes.GinIndex(
                fields=["metadata"], name="version_metadata", opclasses=["jsonb_path_ops"]
            ),
        ),
        migrations.AddConstraint(
            model_name="documentversion",
            constraint=models.UniqueConstraint(fields=("document", "number"), name="version_number_unique"),
        ),
        migrations.AddConstraint(
            model_name="documentversion",
            constraint=models.UniqueConstraint(
                fields=("document", "source_sha", "content_sha"), name="version_content_unique"
            ),
        ),
        migrations.AddIndex(
            model_name="document",
            index=models.Index(fields=["corpus", "state", "name"], name="document_by_state"),
        ),
        migrations.AddIndex(
            model_name="document",
            index=django.contrib.postgres.indexes.GinIndex(
                django.contrib.postgres.indexes.OpClass(
                    django.db.models.functions.text.Upper("name"), name="gin_trgm_ops"
                ),
                name="document_name_trigrams",
            ),
        ),
        migrations.AddConstraint(
            model_name="document",
            constraint=models.UniqueConstraint(fields=("corpus", "name"), name="document_name_unique"),
        ),
        migrations.AddConstraint(
            model_name="document",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["new", "processed", "failed", "removed"])),
                name="document_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="change",
            constraint=models.UniqueConstraint(
                fields=("corpus", "number", "document"), name="change_once_per_document"
            ),
        ),
        migrations.AddConstraint(
            model_name="change",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("action", "put"), ("version__isnull", False)),
                    models.Q(("action__in", ["remove", "failed"]), ("version__isnull", True)),
                    _connector="OR",
                ),
                name="change_action_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="quarantine",
            constraint=models.UniqueConstraint(
                condition=models.Q(("lifted_epoch__isnull", True)),
                fields=("document",),
                name="quarantine_once",
            ),
        ),
        migrations.AddIndex(
            model_name="retrieval",
            index=models.Index(fields=["corpus", "snapshot"], name="retrieval_by_snapshot"),
        ),
        migrations.AddConstraint(
            model_name="retrieval",
            constraint=models.UniqueConstraint(
                fields=("run", "step", "epoch", "attempt"), name="retrieval_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="snapshot",
            constraint=models.UniqueConstraint(fields=("corpus", "number"), name="snapshot_number_unique"),
        ),
        migrations.AddConstraint(
            model_name="snapshot",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ["draft", "publishing"])),
                fields=("corpus",),
                name="snapshot_one_draft",
            ),
        ),
        migrations.AddConstraint(
            model_name="snapshot",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["draft", "publishing", "published", "abandoned", "collected"])
                ),
                name="snapshot_state_known",
            ),
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name="Chunk",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "corpus",
                                "chunk_id",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("chunk_id", models.BigIntegerField()),
                        ("model", models.CharField(max_length=200)),
                        ("text_sha", models.BinaryField(max_length=32)),
                        ("body", models.TextField()),
                        (
                            "corpus",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="retrieval.corpus",
                            ),
                        ),
                    ],
                ),
                migrations.CreateModel(
                    name="Span",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "corpus",
                                "added",
                                "doc_version",
                                "ordinal",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("added", models.IntegerField()),
                        ("removed", models.IntegerField(default=2147483647)),
                        ("chunk_id", models.BigIntegerField()),
                        ("ordinal", models.IntegerField()),
                        ("start", models.IntegerField()),
                        ("stop", models.IntegerField()),
                        (
                            "corpus",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="retrieval.corpus",
                            ),
                        ),
                        (
                            "doc_version",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="retrieval.documentversion",
                            ),
                        ),
                        (
                            "document",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="retrieval.document",
                            ),
                        ),
                    ],
                ),
            ],
            database_operations=[migrations.RunSQL(PARTITIONED, reverse_sql=PARTITIONED_REVERSE)],
        ),
        migrations.RunSQL(EXTRA_COLUMNS, reverse_sql=migrations.RunSQL.noop),
    ]
