"""`manage.py deploy WORKFLOW --env ENV --release N`: begin a rollout and follow it. The exit status is its outcome."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any, Final

from django.utils import timezone

from console import rollout_watching, terminal
from console.terminal import TerminalCommand, actor
from workflows.releases import rollouts

_STATUS: Final = {"succeeded": 0, "rolled_back": terminal.FAILED}


class Command(TerminalCommand):
    help = (
        "Deploy a release: step by step, as its environment says, or at once with --now. Prints the rollout's id. "
        "Exit status with --wait: 0 it took over, 1 it was rolled back, 3 it was aborted or superseded."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("workflow")
        parser.add_argument("--env", default="production", metavar="ENVIRONMENT")
        parser.add_argument("--release", type=int, required=True, metavar="N")
        parser.add_argument("--now", action="store_true", help="at once, without steps")
        parser.add_argument("--wait", action="store_true", help="follow the rollout until it ends")
        parser.add_argument("--supersede", action="store_true", help="end a rollout that goes on there")
        parser.add_argument("--reason", default="")

    def handle(self, *args: Any, workflow: str, env: str, release: int, wait: bool, **options: Any) -> None:
        ask = rollouts.Ask(
            workflow=workflow,
            environment=env,
            release=release,
            strategy="now" if options["now"] else "rollout",
            reason=options["reason"],
            supersede=options["supersede"],
        )
        rollout = rollouts.deploy(ask, actor=actor(), now=timezone.now())
        if rollout is None:
            self.say(f"New runs of {workflow} in {env} get release {release}.")
            return
        self.tell(str(rollout.pk))
        if wait:
            self._follow(rollout.pk)

    def _follow(self, rollout_id: int) -> None:
        try:
            ended = rollout_watching.follow(rollout_id, say=self.say)
        except KeyboardInterrupt:
            self.say(f"\nNo longer watching. Rollout {rollout_id} goes on.")
            sys.exit(terminal.INTERRUPTED)
        status = _STATUS.get(ended.state, terminal.CANCELLED)
        if status:
            sys.exit(status)
