"""The addresses of the API, as in the contract: no slash at the end."""

from django.urls import path, re_path

from console.api import (
    apply,
    calls,
    corpora,
    definitions,
    documents,
    journal,
    prompts,
    releases,
    runs,
    schema,
    searches,
    steps,
)

urlpatterns = [
    path("runs", runs.Runs.as_view()),
    path("runs/<str:run_id>", runs.OneRun.as_view()),
    path("runs/<str:run_id>/steps", steps.Steps.as_view()),
    path("runs/<str:run_id>/journal", journal.Journal.as_view()),
    path("runs/<str:run_id>/calls", calls.Calls.as_view()),
    path("runs/<str:run_id>/cancel", runs.CancelRun.as_view()),
    path("runs/<str:run_id>/retry", runs.RetryRun.as_view()),
    path("runs/<str:run_id>/steps/<path:path>/resolve", steps.ResolveStep.as_view()),
    path("apply", apply.Apply.as_view()),
    path("export", apply.Export.as_view()),
    *definitions.addresses(),
    path("prompts/<str:name>/render", prompts.RenderPrompt.as_view()),
    path("releases", releases.Releases.as_view()),
    path("deployments/<str:workflow>/<str:environment>", releases.Deployments.as_view()),
    path("corpora", corpora.Corpora.as_view()),
    path("corpora/<str:name>", corpora.OneCorpus.as_view()),
    path("corpora/<str:name>/documents", documents.Documents.as_view()),
    path("corpora/<str:name>/ingests", documents.Ingests.as_view()),
    path("corpora/<str:name>/search", searches.SearchCorpus.as_view()),
    path("corpora/<str:name>/snapshots", corpora.Snapshots.as_view()),
    path("corpora/<str:name>/snapshots/<int:number>/rollback", corpora.RollbackSnapshot.as_view()),
    path("corpora/<str:name>/snapshots/<int:before>/diff/<int:after>", corpora.DiffSnapshots.as_view()),
    path("schema/", schema.Schema.as_view(), name="api-schema"),
    path("docs/", schema.docs, name="api-docs"),
    re_path(r"^(?P<rest>.*)$", schema.Unknown.as_view()),
]
