"""The whole configuration. The environment is read here and nowhere else.

A wrong value fails at start with its name and what is allowed.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from console import logging as structured
from console.home import ROOT, VARIABLE, Home


def _text(name: str, default: str = "") -> str:
    return os.environ.get(name) or default


def _number(name: str, default: float, *, low: float, high: float) -> float:
    raw = os.environ.get(name)
    if not raw:
        return default
    try:
        value = float(raw)
    except ValueError:
        raise ImproperlyConfigured(
            f"{name}={raw!r}: a number from {low:g} to {high:g} is expected."
        ) from None
    if not low <= value <= high:
        raise ImproperlyConfigured(f"{name}={raw!r}: a number from {low:g} to {high:g} is expected.")
    return value


def _flag(name: str, default: bool = False) -> bool:
    raw = os.environ.get(name)
    if not raw:
        return default
    if raw.lower() not in {"1", "0", "true", "false"}:
        raise ImproperlyConfigured(f"{name}={raw!r}: 1, 0, true or false is expected.")
    return raw.lower() in {"1", "true"}


def _words(name: str, default: str = "") -> list[str]:
    return _text(name, default).replace(",", " ").split()


def _folders(name: str) -> list[Path]:
    """Folders parted as in PATH."""
    return [Path(word).expanduser().resolve() for word in _text(name).split(os.pathsep) if word]


def _commands(name: str) -> dict[str, list[str]]:
    """A JSON object: names, each with a program and its arguments."""
    try:
        found = json.loads(_text(name, "{}"))
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(map(_is_command, found.values())):
        raise ImproperlyConfigured(
            f'{name}: a JSON object of lists of texts is expected, such as {{"files": ["mcp-files", "--read-only"]}}.'
        )
    return found


def _is_command(words: object) -> bool:
    is_list = isinstance(words, list) and bool(words) and all(isinstance(word, str) for word in words)
    return is_list and bool(words[0])  # type: ignore[index]


def _retention(name: str) -> dict[str, dict[str, float]]:
    """A JSON object: environments, or `*` for all others, each with days by what is kept so long."""
    try:
        found = json.loads(_text(name, "{}"))
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(map(_is_terms, found.values())):
        raise ImproperlyConfigured(
            f'{name}: a JSON object such as {{"production": {{"runs": 90, "failed": 180, "payloads": 30}}, '
            '"*": {"runs": 30}} is expected, days of 1 or more.'
        )
    return found


def _is_terms(terms: object) -> bool:
    if not isinstance(terms, dict) or not terms or terms.keys() - {"runs", "failed", "payloads"}:
        return False
    return all(
        isinstance(days, int | float) and not isinstance(days, bool) and 1 <= days <= 36500
        for days in terms.values()
    )


def _choice(name: str, default: str, allowed: list[str]) -> str:
    value = _text(name, default)
    if value not in allowed:
        raise ImproperlyConfigured(f"{name}={value!r}: one of {', '.join(allowed)} is expected.")
    return value


_home = Home.at(_text(VARIABLE))
HOME = _home.path


_DATABASE_FORM = "postgresql://user:password@host:port/name is expected."


# A cable that is pulled tells nobody: without these a statement waits for a quarter of an hour. The address of the
# database may say otherwise (`?tcp_user_timeout=…`).
_NOTICE_A_DEAD_NETWORK = {
    "connect_timeout": "5",
    "tcp_user_timeout": "10000",  # milliseconds without an answer of the other machine
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
}


def _database(url: str) -> dict[str, object]:
    """Turn `postgresql://user:password@host:port/name?host=/socket/dir` into Django's form."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ImproperlyConfigured(f"DATABASE_URL: {error}; {_DATABASE_FORM}") from None
    if parts.scheme not in {"postgresql", "postgres"}:
        raise ImproperlyConfigured(f"DATABASE_URL={parts.scheme}://…: {_DATABASE_FORM}")
    query = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "interlock",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", parts.hostname or ""),
        "PORT": str(port or ""),
        "CONN_HEALTH_CHECKS": False,
        "OPTIONS": {
            **_NOTICE_A_DEAD_NETWORK,
            **query,
            # Connections come from one pool per process and go back before any wait on the outside,
            # so that 512 threads need a handful of them.
            "pool": {
                "min_size": 1,
                "max_size": int(_number("INTERLOCK_DB_POOL", 12, low=2, high=200)),
                "timeout": 30,
            },
        },
    }


def _broker(url: str) -> str:
    scheme = url.partition("://")[0]
    allowed = ("redis", "rediss", "redis+socket", "amqp", "amqps")
    if scheme not in allowed:
        raise ImproperlyConfigured(
            f"BROKER_URL={scheme}://…: redis://:password@host:port/0 is expected, or one of "
            f"{', '.join(f'{name}://' for name in allowed[1:])}"
        )
    return url


def _key(name: str) -> str:
    """A secret of 32 bytes in urlsafe base64."""
    value = _secret(name)
    try:
        size = len(base64.urlsafe_b64decode(value))
    except ValueError:
        size = 0
    if size != 32:
        raise ImproperlyConfigured(
            f"INTERLOCK_{name.upper()}: 32 random bytes in urlsafe base64 are expected, "
            'made by: python -c "import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())"'
        )
    return value


def _secret(name: str) -> str:
    """Read a secret from the environment, else from the file that `manage.py up` generated in the home."""
    value = os.environ.get(f"INTERLOCK_{name.upper()}")
    if value:
        return value
    path = HOME / "secrets" / name
    if not path.exists():
        raise ImproperlyConfigured(
            f"INTERLOCK_{name.upper()} is not set and {path} does not exist: "
            "set it, or start with `manage.py up`, which makes it."
        )
    return path.read_text().strip()


# What `manage.py up` wrote down of the servers that it runs for this home.
_runtime = {name: str(value) for name, value in _home.runtime().items()}

SECRET_KEY = _secret("secret_key")
# Encrypts credentials and `x-secret` input at rest; 32 bytes, urlsafe base64.
ENCRYPTION_KEY = _key("encryption_key")
DEBUG = _flag("INTERLOCK_DEBUG")
ALLOWED_HOSTS = _words("INTERLOCK_HOSTS", "localhost 127.0.0.1 [::1]")
CSRF_TRUSTED_ORIGINS = _words("INTERLOCK_ORIGINS")

# Servers that the operator named; where empty, `manage.py up` runs its own.
OWN_DATABASE_URL = _text("DATABASE_URL")
OWN_BROKER_URL = _text("BROKER_URL")
DATABASES = {
    "default": _database(OWN_DATABASE_URL or _runtime.get("database_url") or "postgresql:///interlock")
}
BROKER_URL = _broker(OWN_BROKER_URL or _runtime.get("broker_url") or "redis://127.0.0.1:6379/0")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "console",
    "workflows",
    "retrieval",
    "providers",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]
MIDDLEWARE = [
    "console.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "console.middleware.StaticFilesMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "console.middleware.FragmentMiddleware",
    "console.middleware.AccessMiddleware",
    "console.middleware.TimeZoneMiddleware",
]
ROOT_URLCONF = "console.urls"
ASGI_APPLICATION = "console.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "console.context.shell",
            ],
            "builtins": ["console.templatetags.ui"],
        },
    },
]

AUTH_USER_MODEL = "console.User"
LOGIN_URL = "/sign-in/"
LOGIN_REDIRECT_URL = "/"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _flag("INTERLOCK_HTTPS")
CSRF_FAILURE_VIEW = "console.views.errors.csrf_failure"
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    }
}

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False

STATIC_URL = "/static/"
# Served straight from the apps: nothing to collect before the first start.
WHITENOISE_USE_FINDERS = True
DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024
# As many documents as one upload may have; the framework's own bound is lower.
DATA_UPLOAD_MAX_NUMBER_FILES = 200

# The rest of the framework's behaviour is set in one class: console/api/endpoint.py.
REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}
SPECTACULAR_SETTINGS = {
    "TITLE": "Interlock API",
    "DESCRIPTION": "Start, watch and recover runs of AI workflows; apply their definitions; search corpora.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    # Our models say what they mean; guessing names for their enums only warns.
    "POSTPROCESSING_HOOKS": [],
}

LOGGING = structured.configuration(
    level=_choice("INTERLOCK_LOG_LEVEL", "INFO", structured.LEVELS), terminal=sys.stderr.isatty()
)
structured.configure_structlog()

# --- Interlock's own -----------------------------------------------------------------------------
# Shown beside the product's name, so that nobody mistakes one installation for another: prod, staging.
LABEL = _text("INTERLOCK_LABEL")[:16]
# How long one statement of the web process may take before its page says so instead of hanging; 0: for ever.
WEB_STATEMENT_TIMEOUT_S = _number("INTERLOCK_WEB_STATEMENT_TIMEOUT", 15, low=0, high=600)
# Worker threads; each runs one step at a time.
WORKER_THREADS = int(_number("INTERLOCK_WORKER_THREADS", 32, low=1, high=2048))
# How long a worker that got SIGTERM lets running steps go on before it hands them back.
DRAIN_GRACE_S = _number("INTERLOCK_DRAIN_GRACE", 20, low=0, high=3600)
LEASE_S = _number("INTERLOCK_LEASE", 30, low=1, high=600)
HEARTBEAT_S = _number("INTERLOCK_HEARTBEAT", 10, low=0.2, high=200)
if HEARTBEAT_S * 2 > LEASE_S:
    raise ImproperlyConfigured(
        f"INTERLOCK_HEARTBEAT={HEARTBEAT_S:g} with INTERLOCK_LEASE={LEASE_S:g}: "
        "a lease of at least two heartbeats is expected, else steps are lost to one late beat."
    )
# How long one message keeps a worker thread before it rings again and gives way.
# Open runs beyond which new ones are refused, of the whole installation and of one workflow.
MAX_OPEN_RUNS = int(_number("INTERLOCK_MAX_OPEN_RUNS", 200_000, low=1, high=100_000_000))
MAX_OPEN_RUNS_PER_WORKFLOW = int(
    _number("INTERLOCK_MAX_OPEN_RUNS_PER_WORKFLOW", 100_000, low=1, high=100_000_000)
)
SLICE_S = _number("INTERLOCK_SLICE", 1, low=0.01, high=60)
# Names of environment variables that a provider document's `credential: env:NAME` may read; `*` matches.
CREDENTIAL_NAMES = _words("INTERLOCK_CREDENTIAL_NAMES", "*_API_KEY")
# Addresses, networks, host names, or host:port that tools may call although they are private.
TOOL_ALLOW = _words("INTERLOCK_TOOL_ALLOW")
# `package.module:function` patterns that `python:` tools may name.
TOOL_PYTHON = _words("INTERLOCK_TOOL_PYTHON")
# Servers of tools by MCP that workers may start: {"NAME": ["program", "argument", …]}. Documents give the name only.
MCP_COMMANDS = _commands("INTERLOCK_MCP_COMMANDS")
# Folders that a corpus' `sources: [{path}]` may lie under.
CORPUS_ROOTS = _folders("INTERLOCK_CORPUS_ROOTS")
UPLOAD_MAX_BYTES = int(_number("INTERLOCK_UPLOAD_MAX_MB", 64, low=1, high=4096)) * 1_000_000
# This machine's own model, an OpenAI-compatible server, where `manage.py up` runs one.
LOCAL_LLM_URL = _text("INTERLOCK_LOCAL_LLM_URL") or _runtime.get("local_llm_url", "")
# The demo's own tool server on loopback, where `manage.py up` runs one.
DEMO_DESK_URL = _text("INTERLOCK_DEMO_DESK_URL") or _runtime.get("demo_desk_url", "")
if DEMO_DESK_URL:
    TOOL_ALLOW = [*TOOL_ALLOW, urlsplit(DEMO_DESK_URL).netloc]
# For how many days ended runs are kept, by environment; `*` stands for the others. Empty: for ever.
RETENTION = _retention("INTERLOCK_RETENTION")
# Fault points of the engine (`after_claim:kill`), for the chaos tests only.
FAULTS = _words("INTERLOCK_FAULTS")
