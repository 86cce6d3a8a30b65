"""Every page of the console with data on it: for the checks of accessibility, and to be photographed."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from console.api import tokens
from console.models import User
from retrieval import documents, drafts
from tests import (
    example_approvals,
    example_bulk,
    example_prompts,
    example_queue,
    example_replays,
    example_rollouts,
    example_runs,
    example_schedules,
    example_unsettled,
    example_webhooks,
    example_workflows,
    factories,
)
from tests.db.retrieval import fixtures
from workflows import audit, memory, pauses, quarantine, remembering, runs
from workflows.actor import Actor
from workflows.failures import grouping, groups
from workflows.models import ErrorGroup, Lineage, Run
from workflows.quarantine import Ask
from workflows.remembering import Writer

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
    "run, paused": "/runs/r_0000000000009/",
    "run, long": "/runs/r_0000000000008/",
    "run, memory": "/runs/r_0000000000010/?tab=memory",
    "run, settled by a person": "/runs/r_0000000000011/?step=notify",
    "run, cost": "/runs/r_0000000000001/?tab=cost",
    "run, replayed": f"/runs/{example_replays.PARENT}/replay/",
    "run, as of an event": f"/runs/{example_replays.PARENT}/replay/?event=1",
    "run, fork": f"/runs/{example_replays.PARENT}/fork/?step=answer",
    "runs, compared": f"/runs/compare/?a={example_replays.PARENT}&b={example_replays.FORK}&step=answer",
    "runs, what to compare": f"/runs/compare/?a={example_replays.PARENT}",
    "run, retry from a step": f"/runs/{example_replays.FAILED}/retry/?step=answer",
    "run, failed and real": f"/runs/{example_replays.FAILED}/",
    "cancel": "/runs/r_0000000000003/cancel/",
    "retry": "/runs/r_0000000000002/retry/",
    "settle": f"/runs/{example_unsettled.UNKNOWN}/resolve/?step=paid",
    "settle, failed": f"/runs/{example_replays.FAILED}/resolve/?step=share",
    "bulk, preview": "/runs/bulk/new/?bulk=retry&matching=1&range=all",
    "bulk, preview of cancel": "/runs/bulk/new/?bulk=cancel&pick=r_0000000000003&pick=r_0000000000001",
    "bulk actions": "/runs/bulk/",
    "bulk, running": "/runs/bulk/b_0000000000001/",
    "bulk, stopped": "/runs/bulk/b_0000000000002/",
    "bulk, refused": "/runs/bulk/b_0000000000002/?outcome=refused",
    "bulk, preview of forks": "/runs/bulk/new/?bulk=fork&pick=r_0000000000001&pick=r_0000000000002",
    "bulk, forks": "/runs/bulk/b_0000000000003/",
    "recovery": "/recovery/",
    "recovery, resolved": "/recovery/?tab=resolved",
    "error group": "/recovery/errors/7001/",
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
    "workflow, new": "/workflows/_new/",
    "approvals": "/approvals/",
    "approvals, decided": "/approvals/?show=closed",
    "approval": "/approvals/1/",
    "approval, decided": "/approvals/4/",
    "run, waiting for a person": "/runs/r_0000000000940/",
    "queue": "/queue/",
    "queue, pause": "/queue/pause/",
    "lineage": "/lineage/",
    "lineage, of a prompt": "/lineage/?kind=prompt&name=leave-answer@1",
    "lineage, of a quarantined document": "/lineage/?kind=document&name=handbook/topics/travel.md",
    "lineage, of a provider": "/lineage/?kind=provider&name=example&since=7d",
    "lineage, never used": "/lineage/?kind=snapshot&name=handbook@2",
    "memory": "/memory/",
    "memory, key": "/memory/key/?environment=production&scope=session%3Aada&key=history",
    "memory, forget": "/memory/key/change/?environment=production&scope=session%3Aada&key=history",
    "releases": "/releases/",
    "rollout": "/rollouts/900/",
    "rollout, promote": "/rollouts/900/promote/",
    "rollout, abort": "/rollouts/900/abort/",
    "release, deploy": "/releases/deploy/?workflow=docs-assistant&environment=production",
    "schedules": "/schedules/",
    "schedule": "/schedules/nightly-digest/",
    "schedule, paused": "/schedules/month-end/",
    "schedule, cannot start": "/schedules/support-sweep/",
    "schedule, fire": "/schedules/hourly-triage/fire/",
    "quarantines": "/quarantines/",
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
    "webhooks": "/settings/webhooks/",
    "webhook, failing": "/settings/webhooks/data-lake/",
    "webhook, switched off": "/settings/webhooks/old-chat/",
    "webhook, switch off": "/settings/webhooks/on-call/off/",
    "webhook, delivery": "/settings/webhooks/data-lake/deliveries/4711/",
    "style": "/style/",
}

# What a new installation shows, before anything was applied or run.
EMPTY = {
    "nothing, overview": "/overview/",
    "nothing, runs": "/runs/",
    "nothing, approvals": "/approvals/",
    "nothing, approvals decided": "/approvals/?show=closed",
    "nothing, queue": "/queue/",
    "nothing, recovery": "/recovery/",
    "nothing, bulk actions": "/runs/bulk/",
    "nothing, workflows": "/workflows/",
    "nothing, prompts": "/prompts/",
    "nothing, corpora": "/corpora/",
    "nothing, memory": "/memory/",
    "nothing, schedules": "/schedules/",
    "nothing, lineage": "/lineage/",
    "nothing, quarantines": "/quarantines/",
    "nothing, audit log": "/audit/",
    "nothing, tokens": "/settings/tokens/",
    "nothing, webhooks": "/settings/webhooks/",
}
# What went wrong, and the status that says so. The last two need the routes of `broken_urls.py`.
TROUBLE = {
    "trouble, unreadable": ("/runs/?" + "&".join(f"q={n}" for n in range(1001)), 400),
    "trouble, not found": ("/runs/r_gone/", 404),
    "trouble, not allowed": ("/broken/403/", 403),
    "trouble, broken": ("/broken/500/", 500),
    "trouble, no database": ("/broken/503/", 503),
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
    example_replays.fill()
    example_unsettled.lost_payment()
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
    example_runs.remembering_run(number=10)
    example_runs.settled_run(number=11)
    factories.run(number=7, asked={"question": "What is in this scan?", "notes": ["long"] * 20000})
    example_runs.map_run(400, failed=[17, 320], number=8)
    example_approvals.fill()
    _memory()
    example_bulk.fill()
    example_bulk.forks(run=example_replays.PARENT, made=example_replays.FORK)
    _failures()
    example_schedules.fill()
    example_queue.fill()
    example_rollouts.fill()
    example_webhooks.fill()
    people()
    _corpora()
    _pauses()


def _failures() -> None:
    """Failures in groups: one of them has somebody, one is done with."""
    grouping.settle()
    found = list(ErrorGroup.objects.order_by("pk"))
    with transaction.atomic():  # its number is the same in every database
        Run.objects.filter(error_group=found[0]).update(error_group=7001)
        found[0].sightings.update(group=7001)
        ErrorGroup.objects.filter(pk=found[0].pk).update(id=7001)
    osei = Actor(kind="user", name="d.osei")
    asked = groups.Change(assigned_to="d.osei", note="The provider says it is mended by noon.")
    groups.change(7001, asked, actor=osei)
    groups.change(found[-1].pk, groups.Change(state="resolved"), actor=osei)


def _memory() -> None:
    """What is remembered of a customer, of a workflow and of all; one key was forgotten."""
    history = memory.place("production", "session:ada", "history")
    writer = Writer(actor="run r_0000000000001")
    for text in ("Where is my order?", "It came broken.", "Thank you!"):
        said = {"role": "user", "content": text}
        remembering.change(history, "append", said, by=writer, expected=None)
    marta = Actor(kind="user", name="marta.ferri")
    memory.put(memory.place("production", "global", "tone"), "Be kind and brief.", expected=None, actor=marta)
    old = memory.place("production", "workflow:claims", "m.weber@example.com")
    memory.put(old, {"claims": 3}, expected=None, actor=marta)
    memory.forget(old, actor=marta, reason="She asked for it.")


def _pauses() -> None:
    """A workflow that is held up, and a run that somebody holds."""
    osei = Actor(kind="user", name="d.osei")
    example_runs.running_run(number=9)
    runs.pause("r_0000000000009", actor=osei, reason="Wait for the new price list.")
    pauses.add(
        environment=None, workflow="question-digest", actor=osei, reason="The digests name the wrong day."
    )


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
    _used_and_quarantined()


def _used_and_quarantined() -> None:
    """Runs that were given a document, and wrote and called on; then it is taken out of use."""
    (version,) = documents.version_ids("handbook", "topics/travel.md")
    for run in Run.objects.filter(pk__in=["r_0000000000001", "r_0000000000002", example_replays.PARENT]):
        for step in run.steps.order_by("pk")[:2]:
            Lineage.objects.create(run=run, step_run=step, kind="document", ref=f"handbook/{version}")
        Lineage.objects.create(run=run, step_run=step, kind="tool", ref="send-letter@2")
    at = memory.place("production", "workflow:claims", "days-of-leave")
    by = Writer(actor="run", run="r_0000000000002", path="assess", epoch=1)
    remembering.change(at, "write", 30, by=by, expected=None)
    ask = Ask(
        kind="document", ref="handbook/topics/travel.md", reason="It still allows flights in business class."
    )
    quarantine.impose(ask, actor=Actor(kind="user", name="marta.ferri"))


_TOPICS = ("travel", "expenses", "parental-leave", "hardware", "security", "on-call", "holidays")
_LEAVE = "\n\n".join(
    [
        "# Leave",
        "Thirty days of leave a year, in full days or halves. Ask whoever leads your team, a week before.",
        "Days of leave that are left in March are lost, unless you were ill and could not take them.",
        "Illness during leave does not count: tell us on the first day, and bring a note on the third.",
    ]
)
