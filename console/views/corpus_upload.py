"""Documents into a corpus: files and pasted text, each with its own verdict; the ingest that takes them in, live.

The form works without JavaScript. With it, the page sends the same form and asks for the verdicts as JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse

from console import formats
from console.access import requires
from console.actors import actor_of
from console.api.documents import MAX_FILES, check
from console.views.corpora import find
from retrieval import parsing
from retrieval.errors import RetrievalError
from retrieval.models import Corpus
from workflows import curation
from workflows.builtin import ingest
from workflows.builtin.ingest import Upload
from workflows.errors import WorkflowError
from workflows.models import Run
from workflows.queries import corpora as queries

_KINDS: Final = ", ".join(sorted(parsing.TYPES))


@dataclass(frozen=True)
class Verdict:
    """What became of one file: taken, or refused with the reason."""

    name: str
    reason: str = ""


@requires("corpora.ingest")
def upload(request: HttpRequest, name: str) -> HttpResponse:
    """Show the form, or take files in: those that can be read start one ingest, the others say why not."""
    corpus = find(name)
    if request.method != "POST":
        return _show(request, corpus)
    taken, verdicts = _sorted_out(request.FILES.getlist("file"))
    if not verdicts:
        return _show(request, corpus, problem="Choose at least one file.", status=422)
    run = _ingest(request, corpus, taken) if taken else None
    if request.headers.get("Accept", "").startswith("application/json"):
        return JsonResponse(_as_json(corpus, verdicts, run), status=202 if run else 422)
    return _show(request, corpus, verdicts=verdicts, run=run, status=200 if run else 422)


def _ingest(request: HttpRequest, corpus: Corpus, taken: Sequence[Upload]) -> Run:
    return ingest.start(
        corpus.name, actor=actor_of(request), trigger="console", documents=taken, with_sources=False
    )


def _sorted_out(files: Sequence[UploadedFile[Any]]) -> tuple[list[Upload], list[Verdict]]:
    """Look at each file on its own; one that cannot be read keeps none of the others out."""
    taken: dict[str, Upload] = {}
    verdicts = []
    for place, file in enumerate(files):
        name = file.name or ""
        reason = _refused(file, name, name in taken, place)
        if not reason:
            found = Upload(name, file.content_type or "", file.read())
            try:
                check(found.name, found.media_type, found.data)
                taken[name] = found
            except RetrievalError as problem:
                reason = problem.message
        verdicts.append(Verdict(formats.printable(name), formats.printable(reason)))
    return list(taken.values()), verdicts


def _refused(file: UploadedFile[Any], name: str, known: bool, place: int) -> str:
    """Say why a file is not even read."""
    if place >= MAX_FILES:
        return f"Only the first {MAX_FILES} files of one upload are taken."
    if known:
        return "Another file of this upload has the same name."
    if (file.size or 0) > settings.UPLOAD_MAX_BYTES:
        limit = formats.size(settings.UPLOAD_MAX_BYTES)
        return f"{name} has {formats.size(file.size or 0)}; at most {limit} are taken."
    return ""


def _as_json(corpus: Corpus, verdicts: Sequence[Verdict], run: Run | None) -> dict[str, Any]:
    return {
        "files": [{"name": each.name, "reason": each.reason} for each in verdicts],
        "progress": f"{reverse('corpus-progress', args=[corpus.name, run.pk])}?next=1" if run else None,
    }


def _show(
    request: HttpRequest,
    corpus: Corpus,
    *,
    verdicts: Sequence[Verdict] = (),
    run: Run | None = None,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    context = {
        "corpus": corpus,
        "kinds": _KINDS,
        "limit": settings.UPLOAD_MAX_BYTES,
        "most": MAX_FILES,
        "verdicts": verdicts,
        "taken": sum(not each.reason for each in verdicts),
        "ingest": queries.ingest_of(corpus.name, run.pk) if run else None,
        "next_step": True,
        "problem": problem,
    }
    return render(request, "corpora/upload.html", context, status=status)


@requires("corpora.ingest")
def paste(request: HttpRequest, name: str) -> HttpResponse:
    """Show the form, or take a pasted text in as a document."""
    corpus = find(name)
    if request.method != "POST":
        return _paste_form(request, corpus, name=request.GET.get("name", ""))
    title, text = request.POST.get("name", "").strip(), request.POST.get("text", "")
    errors = {} if title else {"name": "A document needs a name, such as leave.md."}
    if not text.strip():
        errors["text"] = "There is no text."
    if not errors:
        kind = parsing.media_type_of(title)
        found = Upload(
            title, kind if kind.startswith("text/") else "text/plain", text.encode("utf-8", "replace")
        )
        try:
            check(found.name, found.media_type, found.data)
            _ingest(request, corpus, [found])
        except (RetrievalError, WorkflowError) as problem:
            errors["name"] = problem.message
        else:
            return HttpResponseRedirect(reverse("corpus", args=[corpus.name]))
    return _paste_form(request, corpus, name=title, text=text, errors=errors, status=422)


def _paste_form(
    request: HttpRequest,
    corpus: Corpus,
    *,
    name: str = "",
    text: str = "",
    errors: dict[str, str] | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {"corpus": corpus, "name": name, "text": text, "errors": errors or {}}
    return render(request, "corpora/paste.html", context, status=status)


@requires("corpora.ingest")
def sources(request: HttpRequest, name: str) -> HttpResponse:
    """Read the sources that the corpus' document names again."""
    corpus = find(name)
    if request.method != "POST":
        return HttpResponseRedirect(reverse("corpus", args=[corpus.name]) + "?tab=ingests")
    try:
        ingest.start(corpus.name, actor=actor_of(request), trigger="console")
    except WorkflowError as problem:
        return render(
            request, "corpora/refused.html", {"corpus": corpus, "problem": problem.message}, status=409
        )
    return HttpResponseRedirect(reverse("corpus", args=[corpus.name]) + "?tab=ingests")


@requires("corpora.view")
def progress(request: HttpRequest, name: str, run_id: str) -> HttpResponse:
    """Show how far an ingest is; once it has ended, nothing asks again."""
    corpus = find(name)
    found = queries.ingest_of(corpus.name, run_id)
    if found is None:
        raise Http404("There is no such ingest of this corpus.")
    context = {
        "corpus": corpus,
        "ingest": found,
        "next_step": request.GET.get("next") == "1",
        "draft": curation.open_draft(corpus) if found.ended else None,
    }
    template = "corpora/_progress.html" if request.headers.get("HX-Request") else "corpora/ingest.html"
    return render(request, template, context)
