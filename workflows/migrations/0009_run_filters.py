"""What the runs list filters by and few runs have: a release, a tag, a class of error. Built beside running writes."""

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models.fields.json import KeyTransform


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("workflows", "0008_bulk_actions"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="run",
            index=models.Index(fields=["release", "-created_at", "-id"], name="run_by_release"),
        ),
        AddIndexConcurrently(
            model_name="run",
            index=GinIndex(fields=["tags"], name="run_by_tag", condition=models.Q(("tags__gt", []))),
        ),
        AddIndexConcurrently(
            model_name="run",
            index=models.Index(
                KeyTransform("class", "error"),
                models.F("created_at").desc(),
                name="run_by_error",
                condition=models.Q(("error__isnull", False)),
            ),
        ),
    ]
