"""Schedules and webhooks: their tables, and the outbox that the end of a run writes to."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("workflows", "0012_write_less"),
    ]

    operations = [
        migrations.CreateModel(
            name="Delivery",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("webhook", models.CharField(max_length=63)),
                ("state", models.CharField(default="pending", max_length=10)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("next_at", models.DateTimeField(null=True)),
                ("gives_up_at", models.DateTimeField()),
                ("attempts_made", models.PositiveIntegerField(default=0)),
                ("attempts_before", models.PositiveIntegerField(default=0)),
                ("lease", models.UUIDField(null=True)),
                ("lease_until", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                ("status", models.PositiveSmallIntegerField(null=True)),
                ("error", models.TextField(blank=True, default="")),
            ],
        ),
        migrations.CreateModel(
            name="DeliveryAttempt",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("status", models.PositiveSmallIntegerField(null=True)),
                ("error", models.TextField(blank=True, default="")),
                ("excerpt", models.TextField(blank=True, default="")),
                ("took_ms", models.PositiveIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="Event",
            fields=[
                ("id", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("type", models.CharField(max_length=60)),
                ("subject", models.CharField(max_length=200)),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("data", models.JSONField()),
            ],
        ),
        migrations.CreateModel(
            name="Fire",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("schedule", models.CharField(max_length=63)),
                ("fire_at", models.DateTimeField()),
                ("version", models.PositiveIntegerField()),
                ("manual", models.BooleanField(default=False)),
                ("fired_by", models.CharField(blank=True, default="", max_length=200)),
                ("key", models.CharField(max_length=255, null=True)),
                ("outcome", models.CharField(max_length=10)),
                ("note", models.TextField(blank=True, default="")),
                ("run_id", models.CharField(blank=True, default="", max_length=20)),
                ("waits_for", models.CharField(blank=True, default="", max_length=20)),
                ("not_before", models.DateTimeField(null=True)),
                ("until", models.DateTimeField(null=True)),
                ("count", models.PositiveIntegerField(default=1)),
                ("recorded_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name="Schedule",
            fields=[
                ("name", models.CharField(max_length=63, primary_key=True, serialize=False)),
                ("version", models.PositiveIntegerField()),
                ("workflow", models.CharField(max_length=63)),
                ("next_fire_at", models.DateTimeField()),
                ("paused_at", models.DateTimeField(null=True)),
                ("paused_by", models.CharField(blank=True, default="", max_length=200)),
                ("pause_reason", models.TextField(blank=True, default="")),
            ],
        ),
        migrations.CreateModel(
            name="Webhook",
            fields=[
                ("name", models.CharField(max_length=63, primary_key=True, serialize=False)),
                ("url", models.TextField()),
                ("secret", models.CharField(max_length=200)),
                (
                    "events",
                    django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None),
                ),
                ("disabled_at", models.DateTimeField(null=True)),
                ("disabled_by", models.CharField(blank=True, default="", max_length=200)),
                ("disabled_why", models.TextField(blank=True, default="")),
                ("failing_since", models.DateTimeField(null=True)),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="definition",
            name="definition_kind_known",
        ),
        migrations.AddConstraint(
            model_name="definition",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "kind__in",
                        ("Provider", "Route", "Prompt", "Tool", "Corpus", "Workflow", "Schedule", "Webhook"),
                    )
                ),
                name="definition_kind_known",
            ),
        ),
        migrations.AddField(
            model_name="deliveryattempt",
            name="delivery",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="attempts",
                to="workflows.delivery",
            ),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(fields=["at"], name="event_oldest"),
        ),
        migrations.AddField(
            model_name="delivery",
            name="event",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="deliveries",
                to="workflows.event",
            ),
        ),
        migrations.AddIndex(
            model_name="fire",
            index=models.Index(
                condition=models.Q(("outcome", "due")), fields=["schedule", "fire_at"], name="fire_due"
            ),
        ),
        migrations.AddIndex(
            model_name="fire",
            index=models.Index(fields=["schedule", "outcome", "-fire_at"], name="fire_by_outcome"),
        ),
        migrations.AddIndex(
            model_name="fire",
            index=models.Index(fields=["fire_at"], name="fire_oldest"),
        ),
        migrations.AddConstraint(
            model_name="fire",
            constraint=models.UniqueConstraint(fields=("schedule", "fire_at"), name="fire_once"),
        ),
        migrations.AddConstraint(
            model_name="fire",
            constraint=models.UniqueConstraint(fields=("schedule", "key"), name="fire_key"),
        ),
        migrations.AddConstraint(
            model_name="fire",
            constraint=models.CheckConstraint(
                condition=models.Q(("outcome__in", ("due", "started", "skipped", "missed", "failed"))),
                name="fire_outcome_known",
            ),
        ),
        migrations.AddIndex(
            model_name="schedule",
            index=models.Index(fields=["workflow"], name="schedule_workflow"),
        ),
        migrations.AddIndex(
            model_name="schedule",
            index=models.Index(
                condition=models.Q(("paused_at__isnull", True)), fields=["next_fire_at"], name="schedule_next"
            ),
        ),
        migrations.AddConstraint(
            model_name="deliveryattempt",
            constraint=models.UniqueConstraint(fields=("delivery", "number"), name="delivery_attempt"),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(fields=["event"], name="delivery_event"),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("lease__isnull", False), ("state", "pending")),
                fields=["webhook"],
                name="delivery_leased",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("state", "pending")), fields=["webhook", "next_at"], name="delivery_due"
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(fields=["webhook", "-id"], name="delivery_newest"),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(fields=["webhook", "state", "-id"], name="delivery_by_state"),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.UniqueConstraint(fields=("webhook", "event"), name="delivery_once"),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ("pending", "delivered", "failed"))),
                name="delivery_state_known",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("ended_at__isnull", False)),
                fields=["ended_at"],
                name="delivery_oldest",
            ),
        ),
    ]
