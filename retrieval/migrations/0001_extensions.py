"""The Postgres extensions that retrieval needs, and a text search configuration that ignores accents."""

from __future__ import annotations

from django.contrib.postgres.operations import CreateExtension
from django.core.exceptions import ImproperlyConfigured
from django.db import migrations
from django.db.utils import DatabaseError

# What the search was measured and tested on: `halfvec`, iterative scans, and their later corrections.
PGVECTOR_MINIMUM = (0, 8, 4)


class RequiredExtension(CreateExtension):
    """Create an extension, or say what an administrator must do."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        try:
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        except DatabaseError as error:
            settings = schema_editor.connection.settings_dict
            raise ImproperlyConfigured(
                f"The Postgres extension {self.name} is missing in database {settings['NAME']!r} and role "
                f"{settings['USER']!r} cannot create it ({str(error).strip()}). Install the extension on the "
                f"server (pgvector for `vector`, contrib for the others), let a superuser run "
                f"`CREATE EXTENSION {self.name}` in that database, then migrate again."
            ) from error


def check_pgvector(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
        [version] = cursor.fetchone()
    if tuple(int(part) for part in version.split(".")[:3]) < PGVECTOR_MINIMUM:
        raise ImproperlyConfigured(
            f"The extension vector is at {version}; 0.8.4 or newer is needed: "
            "install a newer pgvector and run `ALTER EXTENSION vector UPDATE`."
        )


CONFIGURATION = """
CREATE TEXT SEARCH CONFIGURATION retrieval_english (COPY = english);
ALTER TEXT SEARCH CONFIGURATION retrieval_english
    ALTER MAPPING FOR hword, hword_part, word WITH unaccent, english_stem;
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        RequiredExtension("vector"),
        RequiredExtension("pg_trgm"),
        RequiredExtension("unaccent"),
        migrations.RunPython(check_pgvector, migrations.RunPython.noop),
        migrations.RunSQL(CONFIGURATION, "DROP TEXT SEARCH CONFIGURATION retrieval_english"),
    ]
