"""Every address of the product. One line per page family; the API has its own file."""

from django.urls import URLPattern, URLResolver, include, path, re_path

from console.api import health, schema
from console.views import (
    corpora,
    overview,
    prompt_diff,
    prompt_try,
    prompts,
    run,
    run_actions,
    runs,
    session,
    start,
    step,
    workflows,
)

handler400 = "console.views.errors.bad_request"
handler403 = "console.views.errors.permission_denied"
handler404 = "console.views.errors.not_found"
handler500 = "console.views.errors.server_error"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", overview.home, name="home"),
    path("overview/", overview.index, name="overview"),
    path("overview/first-run/", overview.first_run, name="overview-first-run"),
    path("overview/<str:key>/", overview.tile, name="overview-tile"),
    path("sign-in/", session.sign_in, name="sign-in"),
    path("sign-out/", session.sign_out, name="sign-out"),
    path("appearance/", session.appearance, name="appearance"),
    path("runs/", runs.index, name="runs"),
    path("runs/<str:run_id>/", run.detail, name="run"),
    path("runs/<str:run_id>/rows/", run.rows, name="run-rows"),
    path("runs/<str:run_id>/step/", step.detail, name="run-step"),
    path("runs/<str:run_id>/payloads/<str:key>/", step.payload, name="run-payload"),
    path("runs/<str:run_id>/cancel/", run_actions.cancel, name="run-cancel"),
    path("runs/<str:run_id>/retry/", run_actions.retry, name="run-retry"),
    path("runs/<str:run_id>/resolve/", run_actions.resolve, name="run-resolve"),
    path("runs/<str:run_id>/again/", start.again, name="run-again"),
    path("workflows/", workflows.index, name="workflows"),
    path("workflows/<str:name>/", workflows.detail, name="workflow"),
    path("workflows/<str:name>/start/", start.form, name="start"),
    path("corpora/", corpora.index, name="corpora"),
    path("corpora/<str:name>/", corpora.detail, name="corpus"),
    path("prompts/", prompts.index, name="prompts"),
    path("prompts/<str:name>/", prompts.detail, name="prompt"),
    path("prompts/<str:name>/save/", prompts.save, name="prompt-save"),
    path("prompts/<str:name>/check/", prompts.check, name="prompt-check"),
    path("prompts/<str:name>/side/<str:tab>/", prompts.side, name="prompt-side"),
    path("prompts/<str:name>/try/", prompt_try.attempt, name="prompt-try"),
    path("prompts/<str:name>/diff/", prompt_diff.pick, name="prompt-diff-pick"),
    path("prompts/<str:name>/diff/<int:old>/<int:new>/", prompt_diff.compare, name="prompt-diff"),
    path("api/v1/", include("console.api.urls")),
    re_path(r"^api(/.*)?$", schema.Unknown.as_view()),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
]
