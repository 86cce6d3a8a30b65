"""The web process' entry point: `uvicorn console.asgi:application`."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

from django.conf import settings
from django.core.asgi import get_asgi_application

from console.body_limit import BodyLimit
from console.statement_limit import limit_statements

_ENVELOPE = 64 * 1024  # what a multipart form adds to the file in it

limit_statements(settings.DATABASES["default"], seconds=settings.WEB_STATEMENT_TIMEOUT_S)
application = BodyLimit(
    get_asgi_application(),
    limit=max(settings.UPLOAD_MAX_BYTES, settings.DATA_UPLOAD_MAX_MEMORY_SIZE) + _ENVELOPE,
)
