import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("workflows", "0020_cache_by_run"),
    ]

    operations = [
        migrations.CreateModel(
            name="DeletedRun",
            fields=[
                ("id", models.CharField(max_length=20, primary_key=True, serialize=False)),
                ("root", models.CharField(max_length=20)),
                ("workflow", models.CharField(max_length=63)),
                ("environment", models.CharField(max_length=63)),
                ("session", models.TextField(null=True)),
                ("ended_at", models.DateTimeField()),
                ("deleted_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("emptied_at", models.DateTimeField(null=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("emptied_at__isnull", True)),
                        fields=["id"],
                        name="deleted_to_empty",
                    ),
                    models.Index(fields=["deleted_at"], name="deleted_oldest"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Prune",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("by", models.CharField(max_length=200)),
                ("began_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("ended_at", models.DateTimeField(null=True)),
                ("removed", models.JSONField(default=dict)),
                ("bytes", models.BigIntegerField(default=0)),
            ],
            options={
                "indexes": [models.Index(fields=["-began_at", "-id"], name="prune_newest")],
            },
        ),
        migrations.AddField(
            model_name="run",
            name="archived_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("ended_at__isnull", False), ("parent__isnull", True)),
                fields=["environment", "ended_at", "id"],
                name="run_retained",
            ),
        ),
    ]
