"""`local`: embeddings computed in this process. Chat models of this machine are `openai` providers."""

from __future__ import annotations

from collections.abc import Sequence

from providers.adapters.base import Call, Reply, Vectors, WireRequest
from providers.local import embedders
from providers.local.files import MissingFileError
from providers.messages import Request, Usage


class Local:
    """See the module."""

    def build(self, call: Call, request: Request) -> WireRequest:
        del request
        raise call.error(
            "Providers with api `local` only embed; a chat model of this machine is an `openai` provider.",
            "invalid_request",
        )

    def send(self, call: Call, wire: WireRequest, secret: str | None) -> Reply:
        del wire, secret
        raise call.error("Providers with api `local` only embed.", "invalid_request")

    def build_embedding(self, call: Call, texts: Sequence[str]) -> WireRequest:
        return WireRequest(body={"model": call.model.name, "input": list(texts)})

    def embed(self, call: Call, wire: WireRequest, secret: str | None) -> Vectors:
        del secret
        call.time.phase = "first_byte"
        try:
            embedder = embedders.load(call.model.name)
        except MissingFileError as error:
            raise call.error(str(error), "model_not_found") from error
        if embedder is None:
            raise call.error(f"There is no local model {call.model.name!r}.", "model_not_found")
        found = embedder.embed(wire.body["input"], pause=lambda: call.time.slice_s(call.time.ends_at))
        rows, dims = found.vectors.shape
        return Vectors(
            vectors=found.vectors,
            record={"vectors": rows, "dims": dims, "tokens": found.tokens},
            usage=Usage(input=found.tokens, source="provider"),
            model_returned=call.model.name,
        )
