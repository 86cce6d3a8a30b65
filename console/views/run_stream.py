"""The stream of hints behind a run's page: that something changed, never what. The page then asks for it."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from console import streaming
from console.access import requires
from console.streaming import Look, Stream, frame
from workflows.queries import run_changes, run_page
from workflows.queries.run_page import Standing


@requires("runs.view")
def live(request: HttpRequest, run_id: str) -> HttpResponseBase:
    """Tell an open page when to look again; 204 where nothing can change any more."""
    run_id = run_id.replace("\0", "")
    now = run_changes.now(run_id)
    if now is None:
        raise Http404("There is no such run.")
    after = streaming.last_seen(request)
    if now.ended and after is not None and after >= now.seq:
        return HttpResponse(status=204)
    person = f"user:{request.user.pk}"
    if streaming.too_many(person):
        return streaming.refused(person)

    return streaming.answer(Stream(run_id, person, after or 0, _Teller(run_id)))


class _Teller:
    """Looks at a run, and says so where anything is another than the last time."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.told: Standing | None = None

    def __call__(self, after: int) -> Look:
        at = run_changes.now(self.run_id)
        if at is None:
            return Look(frames=[frame("gone", {}, seq=after)], seq=after, ended=True)
        standing = run_page.standing_of(self.run_id)
        if standing == self.told:
            return Look(seq=at.seq)
        self.told = standing
        told = frame("end" if at.ended else "change", {"state": at.state}, seq=at.seq)
        return Look(frames=[told], seq=at.seq, ended=at.ended)
