"""What finds a run by any three letters of its text, and by its cost, duration and tokens. Built beside running writes."""

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import F, Q
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Upper


def tokens(name):
    return Cast(KeyTextTransform(name, "tokens"), output_field=models.IntegerField())


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("retrieval", "0001_extensions"),  # pg_trgm
        ("workflows", "0009_run_filters"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="run",
            index=GinIndex(
                OpClass(Upper(F("title")), name="gin_trgm_ops"),
                OpClass(Upper(F("session")), name="gin_trgm_ops"),
                OpClass(Upper(KeyTextTransform("message", "error")), name="gin_trgm_ops"),
                OpClass(Upper(KeyTextTransform("step", "error")), name="gin_trgm_ops"),
                name="run_text",
            ),
        ),
        AddIndexConcurrently(
            model_name="run",
            index=models.Index(fields=["cost_usd"], name="run_by_cost", condition=Q(cost_usd__isnull=False)),
        ),
        AddIndexConcurrently(
            model_name="run",
            index=models.Index(F("ended_at") - F("started_at"), name="run_by_duration"),
        ),
        AddIndexConcurrently(
            model_name="run",
            index=models.Index(tokens("input") + tokens("output"), name="run_by_tokens"),
        ),
    ]
