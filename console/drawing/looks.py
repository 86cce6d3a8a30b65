"""How states and kinds look: word, icon, tone. Always a word beside the icon, never colour alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString


@dataclass(frozen=True)
class Look:
    """A word, a Lucide icon, and a tone (for kinds: the hue of their bars)."""

    word: str
    icon: str
    tone: str


# Of runs, step runs and attempts alike; the later ones are how a waiting or running thing is shown.
STATES = {
    "queued": Look("Queued", "circle-dashed", "idle"),
    "ready": Look("Queued", "circle-dashed", "idle"),
    "pending": Look("Not started", "circle-dashed", "idle"),
    "running": Look("Running", "loader", "run"),
    "waiting": Look("Waiting", "hourglass", "wait"),
    "paused": Look("Paused", "circle-pause", "idle"),
    "succeeded": Look("Succeeded", "circle-check", "ok"),
    "failed": Look("Failed", "circle-x", "bad"),
    "unknown": Look("Outcome unknown", "octagon-alert", "bad"),
    "skipped": Look("Skipped", "circle-slash", "idle"),
    "cancelled": Look("Cancelled", "circle-slash", "idle"),
    "lost": Look("Worker lost", "triangle-alert", "retry"),
    "interrupted": Look("Handed back", "rotate-cw", "idle"),
    "retrying": Look("Retrying", "rotate-cw", "retry"),
    # Of documents and snapshots.
    "new": Look("Not published", "circle-dashed", "idle"),
    "processed": Look("Processed", "circle-check", "ok"),
    "removed": Look("Removed", "circle-slash", "idle"),
    # Of bulk actions, and of what they did to a run.
    "starting": Look("Starting", "hourglass", "wait"),
    "stopped": Look("Stopped", "circle-slash", "idle"),
    "finished": Look("Finished", "circle-check", "ok"),
    "halted": Look("Interrupted", "octagon-alert", "bad"),
    "refused": Look("Refused", "ban", "retry"),
    "going": Look("Going on", "loader", "run"),
    "gone": Look("Deleted", "trash-2", "idle"),
    # Of the fire times of schedules, and of deliveries to webhooks.
    "missed": Look("Missed", "triangle-alert", "retry"),
    "delivered": Look("Delivered", "circle-check", "ok"),
    "stuck": Look("Stuck", "octagon-alert", "bad"),
    # Of rollouts, and of what was measured of them.
    "rolled_back": Look("Rolled back", "undo-2", "bad"),
    "aborted": Look("Aborted", "circle-slash", "idle"),
    "superseded": Look("Superseded", "circle-slash", "idle"),
    "pass": Look("Kept", "circle-check", "ok"),
    "wait": Look("Not settled", "hourglass", "wait"),
    "fail": Look("Broken", "circle-x", "bad"),
}

KINDS = {
    "prompt": Look("Model call", "sparkles", "model"),
    "agent": Look("Agent", "sparkles", "model"),
    "retrieve": Look("Search", "file-search", "retrieve"),
    "tool": Look("Tool", "wrench", "tool"),
    "workflow": Look("Workflow", "workflow", "tool"),
    "set": Look("Values", "braces", "decision"),
    "branch": Look("Branch", "split", "decision"),
    "map": Look("Map", "repeat", "group"),
    "loop": Look("Loop", "repeat", "group"),
    "item": Look("Item", "layers", "group"),
    "approval": Look("Approval", "user-check", "wait"),
    "wait": Look("Wait", "hourglass", "wait"),
    "memory": Look("Memory", "brain", "memory"),
}
_UNKNOWN_KIND = Look("Step", "circle-dashed", "tool")


def state_look(state: str) -> Look:
    """Return how a state looks; a state that we do not know shows its own name."""
    return STATES.get(state) or Look(state.capitalize(), "circle-alert", "idle")


def kind_look(kind: str) -> Look:
    """Return how a step kind looks."""
    return KINDS.get(kind, _UNKNOWN_KIND)


@lru_cache(maxsize=512)
def icon(name: str, classes: str = "") -> SafeString:
    """Draw one icon of the sprite; decoration only, the words stand beside it."""
    sprite = static("console/vendor/icons.svg")
    return format_html(
        '<svg class="icon {}" aria-hidden="true"><use href="{}#{}"/></svg>', classes, sprite, name
    )


@lru_cache(maxsize=256)
def state(name: str, *, compact: bool = False) -> SafeString:
    """Draw a state as icon and word; compact keeps the word for screen readers only."""
    look = state_look(name)
    spin = "spin" if name == "running" else ""
    if compact:
        return format_html(
            '<span class="state tone-{}" title="{}">{}<span class="visually-hidden">{}</span></span>',
            look.tone,
            look.word,
            icon(look.icon, spin),
            look.word,
        )
    return format_html(
        '<span class="state tone-{}">{}<span>{}</span></span>', look.tone, icon(look.icon, spin), look.word
    )


@lru_cache(maxsize=256)
def state_as(name: str, word: str) -> SafeString:
    """Draw a state's icon with another word."""
    look = state_look(name)
    spin = "spin" if look.icon == "loader" else ""
    return format_html(
        '<span class="state tone-{}">{}<span>{}</span></span>', look.tone, icon(look.icon, spin), word
    )
