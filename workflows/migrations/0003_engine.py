"""The engine's statements as stored functions: one round trip and one transaction each.

A function that changes its meaning gets a new name in a new migration, so that workers of the old and the
new release can run side by side during a deployment.
"""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "engine" / "sql"
# In order of use: plpgsql looks names up late, `LANGUAGE sql` functions at once.
FILES = [
    "keep",
    "begin",
    "claim",
    "end",
    "cancel_open",
    "next_item",
    "parts",
    "commit",
    "close",
    "leases",
    "clock",
    "runs",
    "calls",
]


class Migration(migrations.Migration):
    dependencies = [("workflows", "0002_storage")]
    operations = [
        migrations.RunSQL((SQL / f"{name}.sql").read_text(), migrations.RunSQL.noop) for name in FILES
    ]
