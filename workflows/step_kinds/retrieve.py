"""`retrieve`: search a corpus at the snapshot that the run pinned."""

from __future__ import annotations

from typing import Any

from workflows.engine.bundle import Bundle
from workflows.engine.port import Port, Search
from workflows.spec import templates
from workflows.spec.step_bodies import RetrieveBody
from workflows.spec.workflow import StepDef
from workflows.step_kinds.base import Acted, LeafKind, Scope, as_text

Json = Any


def prepare(step: StepDef, bundle: Bundle, scope: Scope) -> Json:
    body = _body(step)
    query = templates.render(body.query, scope)
    return {
        "corpus": body.corpus,
        "embedding": bundle.corpora[body.corpus]["embedding"],
        "query": query if isinstance(query, str) else as_text(query),
        "top_k": body.top_k,
        "mode": body.mode,
        "index": body.index,
        "filter": templates.render(body.filter, scope) if body.filter is not None else None,
        "min_score": body.min_score,
    }


def act(step: StepDef, bundle: Bundle, prepared: Json, port: Port) -> Acted:
    found = port.search(Search(**prepared))
    corpus = prepared["corpus"].split("@")[0]
    lineage = [("snapshot", f"{corpus}@{found.snapshot}"), *(("document", ref) for ref in found.documents)]
    return Acted(
        output={"snapshot": found.snapshot, "chunks": found.chunks},
        lineage=lineage,
        data={"snapshot": found.snapshot, "hits": len(found.chunks)},
    )


def _body(step: StepDef) -> RetrieveBody:
    assert isinstance(step.body, RetrieveBody)
    return step.body


KIND = LeafKind(prepare=prepare, act=act, limit_s=lambda step, bundle: 60.0)
