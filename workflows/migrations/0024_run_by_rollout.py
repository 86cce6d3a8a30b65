"""Built beside what goes on: the table of runs may be large."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [
        ("workflows", "0023_rollouts"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="run",
            index=models.Index(
                condition=models.Q(("rollout__isnull", False)),
                fields=["rollout", "arm", "created_at"],
                name="run_by_rollout",
            ),
        ),
    ]
