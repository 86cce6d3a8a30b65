import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

from workflows.engine import functions


class Migration(migrations.Migration):
    dependencies = [
        ("workflows", "0022_secret_input"),
    ]

    operations = [
        migrations.CreateModel(
            name="Measurement",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("move", models.PositiveIntegerField()),
                ("step", models.IntegerField()),
                ("at", models.DateTimeField()),
                ("verdict", models.CharField(max_length=8)),
                ("metrics", models.JSONField()),
            ],
        ),
        migrations.CreateModel(
            name="Rollout",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("workflow", models.CharField(max_length=63)),
                ("state", models.CharField(max_length=12)),
                ("paused_for", models.CharField(blank=True, default="", max_length=20)),
                ("note", models.TextField(blank=True, default="")),
                ("plan", models.JSONField()),
                ("salt", models.CharField(max_length=32)),
                ("step", models.IntegerField(default=-1)),
                ("step_at", models.DateTimeField()),
                ("weight", models.FloatField(default=0.0)),
                ("weight_at", models.DateTimeField()),
                ("due_at", models.DateTimeField(null=True)),
                ("looks", models.PositiveIntegerField(default=0)),
                ("failures", models.PositiveIntegerField(default=0)),
                ("moves", models.PositiveIntegerField(default=0)),
                ("history", models.JSONField(default=dict)),
                ("verdict", models.CharField(blank=True, default="", max_length=8)),
                ("metrics", models.JSONField(default=list)),
                ("measured_at", models.DateTimeField(null=True)),
                ("reason", models.TextField(blank=True, default="")),
                ("protected", models.BooleanField(default=False)),
                ("started_by", models.CharField(max_length=200)),
                ("started_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("ended_at", models.DateTimeField(null=True)),
                ("cancelling", models.BooleanField(default=False)),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="definition",
            name="definition_kind_known",
        ),
        migrations.AddField(
            model_name="run",
            name="arm",
            field=models.CharField(blank=True, db_default="", default="", max_length=9),
        ),
        migrations.AddField(
            model_name="run",
            name="sticky_hash",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="run",
            name="led_on_from",
            field=models.CharField(blank=True, db_default="", default="", max_length=9),
        ),
        migrations.AddConstraint(
            model_name="definition",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "kind__in",
                        (
                            "Provider",
                            "Route",
                            "Prompt",
                            "Tool",
                            "Corpus",
                            "Workflow",
                            "Environment",
                            "Schedule",
                            "Webhook",
                        ),
                    )
                ),
                name="definition_kind_known",
            ),
        ),
        migrations.AddField(
            model_name="rollout",
            name="environment",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="workflows.environment"
            ),
        ),
        migrations.AddField(
            model_name="rollout",
            name="from_release",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="workflows.release",
            ),
        ),
        migrations.AddField(
            model_name="rollout",
            name="to_release",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="workflows.release"
            ),
        ),
        migrations.AddField(
            model_name="measurement",
            name="rollout",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="measurements",
                to="workflows.rollout",
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="rollout",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="runs",
                to="workflows.rollout",
            ),
        ),
        migrations.AddIndex(
            model_name="rollout",
            index=models.Index(
                condition=models.Q(("state", "running")), fields=["due_at"], name="rollout_due"
            ),
        ),
        migrations.AddIndex(
            model_name="rollout",
            index=models.Index(
                condition=models.Q(("cancelling", True)), fields=["id"], name="rollout_cancelling"
            ),
        ),
        migrations.AddIndex(
            model_name="rollout",
            index=models.Index(fields=["workflow", "environment", "-id"], name="rollout_newest"),
        ),
        migrations.AddConstraint(
            model_name="rollout",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["running", "paused", "succeeded", "rolled_back", "aborted", "superseded"])
                ),
                name="rollout_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="rollout",
            constraint=models.CheckConstraint(
                condition=models.Q(("weight__gte", 0), ("weight__lte", 100)), name="rollout_weight"
            ),
        ),
        migrations.AddConstraint(
            model_name="rollout",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ("running", "paused"))),
                fields=("workflow", "environment"),
                name="rollout_one_active",
            ),
        ),
        migrations.AddConstraint(
            model_name="measurement",
            constraint=models.UniqueConstraint(fields=("rollout", "move"), name="measurement_move"),
        ),
        # The functions know the tables of all migrations up to here: they change in the last one.
        migrations.RunPython(functions.install, migrations.RunPython.noop),
    ]
