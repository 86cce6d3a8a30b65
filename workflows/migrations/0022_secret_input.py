import django.db.models.deletion
from django.db import migrations, models

from workflows.engine import functions


class Migration(migrations.Migration):
    dependencies = [
        ("workflows", "0021_retention"),
    ]

    operations = [
        migrations.AddField(
            model_name="run",
            name="sealed",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.CreateModel(
            name="SecretInput",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("mask", models.TextField()),
                ("ciphertext", models.BinaryField()),
                (
                    "run",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="secrets",
                        to="workflows.run",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("run", "mask"), name="secret_of_run")],
            },
        ),
        # The functions know the tables of all migrations up to here: they change in the last one.
        migrations.RunPython(functions.install, migrations.RunPython.noop),
    ]
