"""Bodies of documents keep the order of their keys: `json` in place of `jsonb`."""

from django.db import migrations

import workflows.models.ordered_json


class Migration(migrations.Migration):
    dependencies = [("workflows", "0003_engine")]

    operations = [
        migrations.AlterField(
            model_name="definitionversion",
            name="body",
            field=workflows.models.ordered_json.OrderedJSONField(),
        ),
    ]
