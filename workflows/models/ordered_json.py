"""JSON as it was written: a column of the type `json`, which keeps the order of keys.

`jsonb` sorts keys. In a document their order is the author's, and a model sees it: it fills the properties of
an output schema in the order in which they stand. May not be compared or grouped by: `json` has no equality.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from psycopg.types.json import Json

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper


class OrderedJSONField(models.JSONField):
    """A JSON value whose keys come back in the order in which they went in."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "json"

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        return super().from_db_value(value, expression, connection) if isinstance(value, str) else value

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        return value if hasattr(value, "as_sql") else Json(value)
