"""The style page: every component with its states, over fixed examples. Reads nothing and changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from console.access import requires
from console.drawing import json_text, looks
from console.views.search import Item


@dataclass(frozen=True)
class _Field:
    """What `ui/schema_field.html` draws."""

    key: str
    label: str
    control: str
    value: str = ""
    required: bool = True
    hint: str = ""
    errors: tuple[str, ...] = ()
    checked: bool = False
    whole_number: bool = True
    choices: tuple[tuple[str, str], ...] = ()


class _Example(forms.Form):
    """A Django form with one field that is right and one that is wrong."""

    name = forms.CharField(help_text="What it is for", initial="billing service")
    role = forms.ChoiceField(choices=[("viewer", "Viewer"), ("operator", "Operator")], required=False)
    limit = forms.RegexField(r"^\d+$", error_messages={"invalid": "A whole number is expected."})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["class"] = "input"


_FIELDS: Final = (
    _Field("x-question", "Question", "text", "How do I make a class iterable?"),
    _Field(
        "x-audience", "Audience", "choice", "beginner", choices=(("beginner", "Beginner"), ("x", "Expert"))
    ),
    _Field("x-sources", "Sources", "number", "12", errors=("At most 8.",)),
    _Field("x-notify", "Tell the channel", "check", checked=True, hint="Also when nothing was found."),
    _Field("x-tags", "Tags", "json", '["docs"]', required=False),
)
_COLOURS: Final = (
    *("bg", "surface", "raise", "sunk", "hover", "press", "line", "line-2", "line-3"),
    *("fg", "fg-2", "fg-3", "accent", "accent-bg", "ink", "on-ink"),
)
_JSON: Final = {"severity": 4, "reason": "The customer cannot sign in.", "refund": None, "sure": True}
_ITEMS: Final = (
    Item(label="Runs", icon="activity", href="#menu", keys=("g", "r")),
    Item(
        label="Refund 48-2091 · Hartmann",
        icon="circle-x",
        tone="bad",
        href="#menu",
        note="Failed · support · Nov 3, 14:31:35",
    ),
    Item(label="Start run of support", icon="play", href="#menu"),
)

_VALUES: Final[dict[str, Any]] = {
    "json": {
        "present": True,
        "size": 2_100_000,
        "text": json_text.highlight(json_text.serialise(_JSON)),
        "cut": True,
        "address": "#json",
    },
    "parts": (
        {"key": "input", "label": "Input", "amount": 840, "x": 0, "width": 560},
        {"key": "cached", "label": "Cached", "amount": 300, "x": 560, "width": 200},
        {"key": "output", "label": "Output", "amount": 96, "x": 760, "width": 64},
    ),
    "passages": (
        {
            "score": 0.812,
            "document": "leave.md",
            "text": "Thirty days of leave a year.",
            "source": "handbook",
        },
    ),
}


@requires("console.style")
def index(request: HttpRequest) -> HttpResponse:
    """Show every component."""
    now = timezone.now()
    context = {
        "colours": _COLOURS,
        "tones": ("ok", "run", "wait", "retry", "bad", "idle"),
        "states": list(looks.STATES),
        "kinds": [(key, look) for key, look in looks.KINDS.items()],
        "form": _Example({"name": "billing service", "role": "viewer", "limit": "many"}),
        "schema_fields": _FIELDS,
        "json_value": _JSON,
        "items": _ITEMS,
        **_VALUES,
        "now": now,
        "earlier": now - timedelta(hours=3, minutes=5),
        "lines": range(6),
    }
    return render(request, "style/page.html", context)
