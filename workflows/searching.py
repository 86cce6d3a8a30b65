"""Search outside of runs: what a person or a program wants to see of a corpus. Nothing is recorded."""

from __future__ import annotations

from typing import Final

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from providers import gateway
from providers.recording import Unrecorded
from workflows.engine import bundle

WITHIN_S: Final = 30.0


def embed_query(model: str, query: str) -> NDArray[np.float32]:
    """Embed one query, `(dims,) float32`, holding no connection while a provider answers.

    Raises: ProviderError.
    """
    known = bundle.providers()
    if not connection.in_atomic_block:
        connection.close()
    vectors = gateway.embed(model, [query], providers=known, recorder=Unrecorded(), deadline_s=WITHIN_S)
    first: NDArray[np.float32] = vectors[0]
    return first
