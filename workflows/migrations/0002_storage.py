"""Storage settings of the hot tables: dead tuples are what kills a queue in Postgres."""

from django.db import migrations

FORWARD = """
ALTER TABLE workflows_steprun SET (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0
);
ALTER TABLE workflows_attempt SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE workflows_run SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE workflows_clocklease SET (fillfactor = 50);
ALTER TABLE workflows_worker SET (fillfactor = 50);
"""


class Migration(migrations.Migration):
    dependencies = [("workflows", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]
