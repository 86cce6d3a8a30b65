"""Corpora, documents, chunks, snapshots and what was retrieved.

May not hold rules: the triggers of migration 0003 guard, the services decide. `Chunk` and `Span` are
partitioned by corpus and written by raw SQL only (`statements.py`); their vectors and lexemes are columns
that the ORM does not load.
"""

from __future__ import annotations

from typing import Final

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import Q
from django.db.models.functions import Upper

# `removed` of a span that no snapshot has removed yet.
OPEN_END: Final = 2_147_483_647


class Corpus(models.Model):
    """A set of documents, chunked and embedded. `head` is the newest published snapshot."""

    class Publish(models.TextChoices):
        AUTO = "auto"
        MANUAL = "manual"

    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=63, unique=True)
    embedding = models.CharField(max_length=200)
    dims = models.PositiveIntegerField()
    chunk_tokens = models.PositiveIntegerField()
    chunk_overlap = models.PositiveIntegerField()
    publish = models.CharField(max_length=6, choices=Publish.choices, default=Publish.AUTO)
    head = models.IntegerField(null=True)
    # Counts marks and lifts of quarantine; a retrieval records the epoch that it saw.
    quarantine_epoch = models.IntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(chunk_tokens__gt=0, chunk_overlap__lt=models.F("chunk_tokens")),
                name="corpus_chunk_sizes",
            ),
            models.CheckConstraint(condition=Q(dims__gte=1, dims__lte=16000), name="corpus_dims_bounds"),
        ]

    def __str__(self) -> str:
        return self.name


class Document(models.Model):
    """A named member of a corpus. `version` is the one in the head snapshot; null: none is."""

    class State(models.TextChoices):
        NEW = "new"  # in a draft only
        PROCESSED = "processed"
        FAILED = "failed"  # the last ingest could not read it; an older version may still be served
        REMOVED = "removed"

    corpus = models.ForeignKey(Corpus, on_delete=models.PROTECT, related_name="documents", db_index=False)
    name = models.TextField()
    state = models.CharField(max_length=9, choices=State.choices, default=State.NEW)
    reason = models.TextField(blank=True)
    version = models.ForeignKey(
        "DocumentVersion", on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["corpus", "name"], name="document_name_unique"),
            models.CheckConstraint(
                condition=Q(state__in=["new", "processed", "failed", "removed"]), name="document_state_known"
            ),
        ]
        indexes = [
            models.Index(fields=["corpus", "state", "name"], name="document_by_state"),
            GinIndex(OpClass(Upper("name"), name="gin_trgm_ops"), name="document_name_trigrams"),
        ]

    def __str__(self) -> str:
        return self.name


class DocumentVersion(models.Model):
    """One immutable content of a document; the same content again is the same version."""

    corpus = models.ForeignKey(Corpus, on_delete=models.PROTECT, related_name="+", db_index=False)
    document = models.ForeignKey(Document, on_delete=models.PROTECT, related_name="versions", db_index=False)
    number = models.PositiveIntegerField()
    source = models.TextField()
    media_type = models.CharField(max_length=100)
    size = models.BigIntegerField()
    # Of the bytes, metadata and settings that made this version: what decides whether content is the same.
    source_sha = models.BinaryField(max_length=32)
    # Of its name, metadata and chunks: what the root hash of a snapshot is made of.
    content_sha = models.BinaryField(max_length=32)
    metadata = models.JSONField(default=dict)
    text = models.TextField()  # as parsed; the offsets of spans point into it
    chunks = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["document", "number"], name="version_number_unique"),
            models.UniqueConstraint(
                fields=["document", "source_sha", "content_sha"], name="version_content_unique"
            ),
        ]
        indexes = [GinIndex(fields=["metadata"], opclasses=["jsonb_path_ops"], name="version_metadata")]

    def __str__(self) -> str:
        return f"{self.document_id}@{self.number}"


class Chunk(models.Model):
    """A passage with its vector: immutable, stored once per corpus, model and text."""

    pk = models.CompositePrimaryKey("corpus", "chunk_id")
    corpus = models.ForeignKey(
        Corpus, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    chunk_id = models.BigIntegerField()
    model = models.CharField(max_length=200)
    text_sha = models.BinaryField(max_length=32)
    body = models.TextField()

    def __str__(self) -> str:
        return f"{self.corpus_id}/{self.chunk_id}"


class Span(models.Model):
    """A chunk's place in a document version, seen by the snapshots `added <= N < removed`."""

    pk = models.CompositePrimaryKey("corpus", "added", "doc_version", "ordinal")
    corpus = models.ForeignKey(
        Corpus, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    added = models.IntegerField()
    removed = models.IntegerField(default=OPEN_END)
    chunk_id = models.BigIntegerField()
    document = models.ForeignKey(
        Document, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    doc_version = models.ForeignKey(
        DocumentVersion, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    ordinal = models.IntegerField()
    start = models.IntegerField()
    stop = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.doc_version_id}[{self.ordinal}] {self.added}..{self.removed}"


class Snapshot(models.Model):
    """One state of a corpus; immutable once published. At most one draft or publishing per corpus."""

    class State(models.TextChoices):
        DRAFT = "draft"
        PUBLISHING = "publishing"
        PUBLISHED = "published"
        ABANDONED = "abandoned"
        COLLECTED = "collected"

    corpus = models.ForeignKey(Corpus, on_delete=models.PROTECT, related_name="snapshots", db_index=False)
    number = models.IntegerField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT)
    base = models.IntegerField(null=True)  # the head when the draft was opened
    copy_of = models.IntegerField(null=True)  # set by a rollback
    actor = models.TextField()  # who or which ingest opened it
    reason = models.TextField(blank=True)  # why it was abandoned
    model = models.CharField(max_length=200)
    chunker_hash = models.CharField(max_length=64)
    root_hash = models.CharField(max_length=64, blank=True)
    documents = models.IntegerField(default=0)
    chunks = models.IntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    published_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["corpus", "number"], name="snapshot_number_unique"),
            models.UniqueConstraint(
                fields=["corpus"],
                condition=Q(state__in=["draft", "publishing"]),
                name="snapshot_one_draft",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["draft", "publishing", "published", "abandoned", "collected"]),
                name="snapshot_state_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.corpus_id}@{self.number} {self.state}"


class Change(models.Model):
    """What a snapshot does to one document: the draft's ledger, afterwards the snapshot's history."""

    class Action(models.TextChoices):
        PUT = "put"
        REMOVE = "remove"
        FAILED = "failed"  # nothing changes; told in the snapshot's log

    corpus = models.ForeignKey(Corpus, on_delete=models.PROTECT, related_name="+", db_index=False)
    number = models.IntegerField()
    document = models.ForeignKey(Document, on_delete=models.PROTECT, related_name="changes")
    action = models.CharField(max_length=6, choices=Action.choices)
    version = models.ForeignKey(
        DocumentVersion, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    reason = models.TextField(blank=True)
    at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["corpus", "number", "document"], name="change_once_per_document"),
            models.CheckConstraint(
                condition=Q(action="put", version__isnull=False)
                | Q(action__in=["remove", "failed"], version__isnull=True),
                name="change_action_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.document_id} in {self.corpus_id}@{self.number}"


class EmbeddingCache(models.Model):
    """A text's vector by model: nothing is embedded twice, across corpora."""

    pk = models.CompositePrimaryKey("model", "text_sha")
    model = models.CharField(max_length=200)
    text_sha = models.BinaryField(max_length=32)

    def __str__(self) -> str:
        return f"{self.model} {bytes(self.text_sha).hex()[:12]}"


class Quarantine(models.Model):
    """A document excluded from every retrieval, pinned runs too, while `lifted_epoch` is null.

    An overlay: snapshots never change. In force at the epochs `epoch <= E < lifted_epoch`.
    """

    corpus = models.ForeignKey(Corpus, on_delete=models.PROTECT, related_name="quarantines")
    document = models.ForeignKey(Document, on_delete=models.PROTECT, related_name="quarantines")
    reason = models.TextField()
    actor = models.TextField()
    epoch = models.IntegerField()
    lifted_epoch = models.IntegerField(null=True)
    at = models.DateTimeField(auto_now_add=True)
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["document"], condition=Q(lifted_epoch__isnull=True), name="quarantine_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.document_id}: {self.reason}"


class Retrieval(models.Model):
    """What a search answered, recorded for lineage and replay. Run and step are opaque names here."""

    corpus = models.ForeignKey(Corpus, on_delete=models.PROTECT, related_name="+", db_index=False)
    snapshot = models.IntegerField()
    quarantine_epoch = models.IntegerField()
    run = models.TextField()
    step = models.TextField()
    epoch = models.IntegerField()
    attempt = models.IntegerField()
    query = models.TextField()
    params = models.JSONField(default=dict)
    mode = models.CharField(max_length=6)
    index = models.CharField(max_length=5)  # what was used: exact or hnsw
    result_sha = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "step", "epoch", "attempt"], name="retrieval_once")
        ]
        indexes = [models.Index(fields=["corpus", "snapshot"], name="retrieval_by_snapshot")]

    def __str__(self) -> str:
        return f"{self.run} {self.step}"


class Hit(models.Model):
    """One passage of a retrieval; found again by document version."""

    pk = models.CompositePrimaryKey("retrieval", "rank")
    retrieval = models.ForeignKey(Retrieval, on_delete=models.CASCADE, related_name="hits", db_index=False)
    rank = models.IntegerField()
    chunk_id = models.BigIntegerField()
    doc_version = models.ForeignKey(
        DocumentVersion, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    score = models.FloatField()

    class Meta:
        # Who was given a passage, the newest first.
        indexes = [models.Index(fields=["doc_version", "chunk_id", "retrieval"], name="hit_of_passage")]

    def __str__(self) -> str:
        return f"{self.retrieval_id}#{self.rank}"
