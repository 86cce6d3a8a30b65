"""`manage.py replay RUN… | --workflow W --last N`: replay ended runs from their records; the exit status says."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from console.api.replays import shape
from console.terminal import FAILED, USAGE, Error, TerminalCommand, as_json
from workflows import states
from workflows.models import Run
from workflows.replay import verify
from workflows.replay.verify import Replay

SHOWN: Final = 5  # divergences of one run


class Command(TerminalCommand):
    help = (
        "Replay ended runs from their records, before new code is deployed. Exit status 0: all are identical."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", nargs="*")
        parser.add_argument("--workflow", help="the newest ended runs of this workflow")
        parser.add_argument("--last", type=int, default=100, help="how many of them")
        parser.add_argument("--incomplete", action="store_true", help="an incomplete record is no failure")
        parser.add_argument("--json", action="store_true", help="one JSON object a run, as in the API")

    def handle(self, *args: Any, run: list[str], workflow: str | None, last: int, **options: Any) -> None:
        if bool(run) == bool(workflow):
            raise Error("Name runs, or a --workflow.", returncode=USAGE)
        counts: Counter[str] = Counter()
        for each in run or _newest(str(workflow), last):
            found = verify.replay(each)
            counts[found.verdict] += 1
            self.tell(as_json(shape(found)) if options["json"] else _told(found))
        if not counts:
            raise Error(f"Workflow {workflow} has no run that has ended.", returncode=FAILED)
        self.say(", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())))
        if counts["diverged"] or (counts["incomplete"] and not options["incomplete"]):
            raise SystemExit(FAILED)


def _newest(workflow: str, last: int) -> Iterable[str]:
    ended = Run.objects.filter(workflow=workflow, state__in=states.RUN_ENDED).order_by("-created_at", "-pk")
    return tuple(ended.values_list("pk", flat=True)[: max(last, 0)])


def _told(found: Replay) -> str:
    every = tuple(found.all_of())
    lines = [f"{found.run}  {found.verdict}  {sum(each.checked for each in every)} outcomes"]
    told = [
        f"  {each.run if each is not found else ''} {one.path or 'the run'}: {one.explanation}".replace(
            "   ", "  "
        )
        for each in every
        for one in each.divergences
    ]
    lines += told[:SHOWN]
    if len(told) > SHOWN:
        lines.append(f"  and {len(told) - SHOWN} more")
    lines += [f"  missing: {what}" for each in every for what in each.missing[:SHOWN]]
    return "\n".join(lines)
