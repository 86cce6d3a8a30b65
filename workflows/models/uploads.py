"""Documents that came in over the API or the console and wait for their ingest."""

from django.db import models
from django.db.models.functions import Now


class Upload(models.Model):
    """The bytes of a document under their sha-256: the run that ingests it names it by that."""

    sha = models.BinaryField(primary_key=True)
    size = models.PositiveBigIntegerField()
    body = models.BinaryField()
    kept_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return bytes(self.sha).hex()
