"""Every page of the console with data on it: for the checks of accessibility, and to be photographed."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from console.api import tokens
from console.models import User
from retrieval import drafts
from tests import example_bulk, example_prompts, example_runs, example_workflows, factories
from tests.db.retrieval import fixtures
from workflows import audit
from workflows.actor import Actor

SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
PAGES = {
    "overview": "/overview/",
    "overview, table": "/overview/?range=7d&table=activity",
    "runs": "/runs/",
    "runs, nothing found": "/runs/?q=zzzz",
    "runs, filtered": "/runs/?q=release:1+duration%3E3s&state=failed&from=2d",
    "runs, not understood": "/runs/?q=stat:failed",
    "runs, save view": "/runs/views/new/?state=failed",
    "runs, export": "/runs/export/?state=failed",
    "run": "/runs/r_0000000000001/?step=answer",
    "run, failed": "/runs/r_0000000000002/",
    "run, failed step": "/runs/r_0000000000002/?step=route/notify",
    "run, running": "/runs/r_0000000000003/",
    "run, unknown": "/runs/r_0000000000004/",
    "run, map": "/runs/r_0000000000005/",
    "run, search": "/runs/r_0000000000001/?step=search",
    "run, events": "/runs/r_0000000000002/?tab=events",
    "run, documents": "/runs/r_0000000000001/?tab=documents",
    "run, input": "/runs/r_0000000000001/?tab=io",
    "run, zoomed": "/runs/r_0000000000001/?from=1.5&to=4.2&step=answer",
    "run, critical path": "/runs/r_0000000000002/?critical=1&list=%3Fstate%3Dfailed",
    "run, decisions": "/runs/r_0000000000001/?tab=decisions",
    "run, queued": "/runs/r_0000000000006/",
    "run, attempt": "/runs/r_0000000000001/?step=answer&attempt=1",
    "run, large input": "/runs/r_0000000000007/?tab=io",
    "run, long": "/runs/r_0000000000008/",
    "run, cost": "/runs/r_0000000000001/?tab=cost",
    "cancel": "/runs/r_0000000000003/cancel/",
    "retry": "/runs/r_0000000000002/retry/",
    "settle": "/runs/r_0000000000004/resolve/?step=notify",
    "bulk, preview": "/runs/bulk/new/?bulk=retry&matching=1&range=all",
    "bulk, preview of cancel": "/runs/bulk/new/?bulk=cancel&pick=r_0000000000003&pick=r_0000000000001",
    "bulk actions": "/runs/bulk/",
    "bulk, running": "/runs/bulk/b_0000000000001/",
    "bulk, stopped": "/runs/bulk/b_0000000000002/",
    "bulk, refused": "/runs/bulk/b_0000000000002/?outcome=refused",
    "workflows": "/workflows/",
    "workflow": "/workflows/claims/",
    "workflow, step": "/workflows/claims/?step=assess",
    "workflow, definition": "/workflows/claims/?tab=definition",
    "workflow, versions": "/workflows/claims/?tab=versions",
    "workflow, releases": "/workflows/claims/?tab=releases",
    "workflow, older version": "/workflows/claims/?version=1",
    "workflow, two versions": "/workflows/claims/diff/1/2/",
    "workflow, edit": "/workflows/claims/edit/",
    "workflow, problems": "/workflows/docs-assistant/edit/",
    "workflow, new": "/workflows/new/",
    "apply": "/apply/",
    "run, graph": "/runs/r_0000000000002/?tab=graph",
    "run, graph of a map": "/runs/r_0000000000005/?tab=graph",
    "start": "/workflows/docs-assistant/start/",
    "corpora": "/corpora/",
    "corpus": "/corpora/handbook/",
    "corpus, search": "/corpora/handbook/?q=days+of+leave&mode=text",
    "corpus, ingests": "/corpora/handbook/?tab=ingests",
    "corpus, snapshots": "/corpora/handbook/?tab=snapshots",
    "corpus, settings": "/corpora/handbook/?tab=settings",
    "corpus, document": "/corpora/handbook/document/?name=leave.md&passage=1",
    "corpus, snapshot": "/corpora/handbook/snapshots/2/?document=leave.md",
    "corpus, roll back": "/corpora/handbook/snapshots/1/rollback/",
    "corpus, upload": "/corpora/handbook/upload/",
    "corpus, paste": "/corpora/handbook/paste/",
    "corpus, empty": "/corpora/blank/",
    "prompts": "/prompts/",
    "prompts, nothing found": "/prompts/?q=zzz",
    "prompt": "/prompts/triage/",
    "prompt, problems": "/prompts/answer/",
    "prompt, diff": "/prompts/triage/?version=1&tab=diff",
    "prompt, test": "/prompts/triage/?tab=test",
    "prompt, usage": "/prompts/triage/?tab=usage",
    "prompt, two versions": "/prompts/triage/diff/1/2/?as=split",
    "audit log": "/audit/",
    "audit log, nothing found": "/audit/?actor=nobody",
    "account": "/settings/",
    "password": "/settings/password/",
    "appearance": "/settings/appearance/",
    "sign out everywhere": "/settings/sign-out/",
    "search": "/search/?q=docs",
    "search, nothing typed": "/search/",
    "shortcuts": "/shortcuts/",
    "members": "/settings/members/",
    "tokens": "/settings/tokens/",
    "style": "/style/",
}


def people() -> None:
    """Members, tokens and what they did."""
    for name, role in (("marta.ferri", "admin"), ("d.osei", "operator"), ("lena", "editor")):
        factories.user(role, name)
    User.objects.filter(username="lena").update(password_temporary=True)
    User.objects.create_user("left.last.year", role="viewer", is_active=False)
    now = timezone.now()
    marta, osei = (Actor(kind="user", name=name) for name in ("marta.ferri", "d.osei"))
    for name, days in (("billing service", 400), ("nightly digest", 30)):
        tokens.create(name, role="operator", expires_at=now + timedelta(days=days), actor=marta, now=now)
    old = tokens.create("old importer", role="viewer", expires_at=None, actor=marta, now=now)
    tokens.revoke(old.token, actor=marta, now=now)
    audit.record(osei, "run.cancel", "run", "r_0000000000003", reason="The customer called it off.")
    audit.record(marta, "member.role", "member", "lena", data={"role": "editor", "before": "viewer"})
    audit.record(
        Actor(kind="token", name="ci"),
        "definition.save",
        "Prompt",
        "triage@3",
        data={"diff": "+ Be kind.\n- Be brief."},
    )


def fill() -> None:
    """Fill the database with what the pages show."""
    example_workflows.documents()
    example_workflows.runs()
    example_prompts.documents()
    example_prompts.runs()
    factories.prompts()
    factories.worker()
    example_runs.succeeded_run(number=1)
    example_runs.failed_run(number=2)
    example_runs.running_run(number=3)
    example_runs.unknown_run(number=4)
    example_runs.map_run(30, failed=[4], number=5)
    factories.many_runs(240, states=(*["succeeded"] * 11, "failed", "cancelled"))
    factories.run("queued", number=6, ago_s=12)
    factories.run(number=7, asked={"question": "What is in this scan?", "notes": ["long"] * 20000})
    example_runs.map_run(400, failed=[17, 320], number=8)
    example_bulk.fill()
    people()
    _corpora()


def _corpora() -> None:
    """A corpus with a history: two snapshots, and a document that could not be read; and an empty one."""
    fixtures.make_corpus("blank")
    fixtures.make_corpus("handbook")
    pages = {f"topics/{name}.md": f"# {name}\n\nHow we handle {name}." for name in _TOPICS}
    fixtures.publish("handbook", {"leave.md": _LEAVE, **pages})
    fixtures.publish("handbook", {"leave.md": _LEAVE.replace("Thirty", "Thirty-two"), "new.md": "Welcome."})
    draft = drafts.open_draft("handbook", actor="test")
    fixtures.put(draft, "scan.md", "")
    drafts.abandon(draft)


_TOPICS = ("travel", "expenses", "parental-leave", "hardware", "security", "on-call", "holidays")
_LEAVE = "\n\n".join(
    [
        "# Leave",
        "Thirty days of leave a year, in full days or halves. Ask whoever leads your team, a week before.",
        "Days of leave that are left in March are lost, unless you were ill and could not take them.",
        "Illness during leave does not count: tell us on the first day, and bring a note on the third.",
    ]
)
