"""Once the first stored functions of the engine; a later migration installs them with the tables they use now."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("workflows", "0002_storage")]
    operations: list[migrations.operations.base.Operation] = []
