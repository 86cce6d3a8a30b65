"""The one error family of retrieval. May not import anything of the project.

`code` is stable and machine-readable; the message says what happened, to which object, and what to do.
"""

from __future__ import annotations

from typing import Final

# Faults of one document: the ingest reports them and goes on with the rest.
DOCUMENT_CODES: Final = frozenset(
    {"unreadable_document", "too_large", "outside_roots", "bad_name", "bad_metadata"}
)


class RetrievalError(Exception):
    """Something that retrieval refuses or cannot do.

    Codes: unknown_corpus, corpus_empty, unknown_snapshot, snapshot_not_published, already_current,
    draft_open, draft_closed, embedding_changed, wrong_settings, wrong_dimensions, wrong_embedding,
    query_needed, bad_query, bad_filter, bad_name, bad_metadata, no_sources, unreadable_document, too_large,
    outside_roots, unknown_document.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def of_document(self) -> bool:
        """Whether only the document at hand is at fault."""
        return self.code in DOCUMENT_CODES
