"""What stands beside the editor of a prompt: preview, diff, test and usage of the text as it is typed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from console import formats
from console.drawing import text_diff
from console.forms.prompt_form import OWN, Draft, ValuesError, typed_values
from providers import usage
from workflows import trying
from workflows.editing import Checked
from workflows.models import DefinitionVersion
from workflows.queries import prompts
from workflows.queries.prompts import Live, Sample
from workflows.spec import prompt_text, writing
from workflows.spec.prompt_text import Filled

_RUN_LINKS: Final = 12


@dataclass(frozen=True)
class Asked:
    """A prompt's text, read, with what its page has loaded already."""

    name: str
    draft: Draft
    checked: Checked
    numbers: tuple[int, ...]  # of its versions, newest first
    held: tuple[Live, ...] = ()


@dataclass(frozen=True)
class Inputs:
    """The values that a prompt is filled in with, and where they come from."""

    samples: Sequence[Sample]
    chosen: Sample | None
    values: Mapping[str, Any]
    typed: str
    problem: str = ""


def context(tab: str, asked: Asked) -> dict[str, Any]:
    """Collect what one tab shows."""
    return _TABS[tab](asked)


def inputs(asked: Asked) -> Inputs:
    """Take the values of the run that was picked, else those that were typed."""
    samples = prompts.samples(asked.name, asked.numbers)
    wanted = asked.draft.sample
    chosen = next((each for each in samples if each.key == wanted), None)
    if chosen is None and wanted != OWN and samples:
        chosen = samples[0]
    if chosen is not None:
        given = prompts.variables_of(chosen)
        if given is None:
            lost = f"What run {chosen.run} gave this prompt is not stored any more; pick another."
            return Inputs(samples, chosen, {}, _typed(asked, {}), lost)
        return Inputs(samples, chosen, given, _typed(asked, given))
    typed = asked.draft.values or _typed(asked, {})
    try:
        return Inputs(samples, None, typed_values(typed), typed)
    except ValuesError as error:
        return Inputs(samples, None, {}, typed, str(error))


def _typed(asked: Asked, given: Mapping[str, Any]) -> str:
    """The values to begin typing with: those of the picked run, and a place for each variable."""
    declared = asked.checked.body.get("variables")
    names = declared if isinstance(declared, dict) else {}
    begun = {
        **dict.fromkeys(names, ""),
        **prompt_text.defaults({"variables": names} if not asked.checked.errors else {}),
    }
    return json.dumps({**begun, **given}, indent=2, ensure_ascii=False)


def filled(asked: Asked, given: Inputs) -> tuple[Filled, ...]:
    """Fill the messages in; none where the text or the values cannot be read."""
    return () if asked.checked.errors or given.problem else prompt_text.fill(asked.checked.body, given.values)


def as_saved(text: str, checked: Checked) -> str:
    """The text as it would be read back, so that only what it says counts as a change; as it is if it is wrong."""
    return text if checked.errors else writing.dump([checked.body])


def _preview(asked: Asked) -> dict[str, Any]:
    given = inputs(asked)
    messages = filled(asked, given)
    declared = asked.checked.body.get("variables") or {}
    known = set(given.values) | set(
        prompt_text.defaults(asked.checked.body) if not asked.checked.errors else ()
    )
    return {
        "given": given,
        "filled": messages,
        "missing": [name for name in declared if name not in known] if not asked.checked.errors else [],
        "extra": [name for name in given.values if name not in declared] if not asked.checked.errors else [],
        "wrong": len(asked.checked.errors),
        "rendered_tokens": usage.estimated(sent="\n".join(each.text for each in messages), received="").input,
    }


def _diff(asked: Asked) -> dict[str, Any]:
    number = asked.draft.against if asked.draft.against in asked.numbers else asked.draft.base
    found = DefinitionVersion.objects.filter(
        definition__kind="Prompt", definition__name=asked.name, version=number
    ).first()
    old, new = writing.dump([found.body]) if found else "", as_saved(asked.draft.text, asked.checked)
    draw = text_diff.split if asked.draft.split else text_diff.unified
    return {
        "against": number,
        "comparison": draw(old, new),
        "counts": text_diff.counts(old, new),
        "numbers": asked.numbers,
    }


def _test(asked: Asked) -> dict[str, Any]:
    choices = trying.choices()
    routes: dict[str, list[trying.Choice]] = {}
    for each in choices:
        routes.setdefault(each.route, []).append(each)
    return {**_preview(asked), "routes": routes.items(), "limit_s": trying.MAX_SECONDS}


def _usage(asked: Asked) -> dict[str, Any]:
    newest = asked.numbers[:20]
    return {
        "prompt_name": asked.name,
        "held": asked.held,
        "holders": prompts.holders(asked.name, limit=20),
        "uses": prompts.uses(asked.name, newest),
        "samples": prompts.samples(asked.name, asked.numbers)[:_RUN_LINKS],
        "older_versions": len(asked.numbers) - len(newest),
    }


_TABS: Final[Mapping[str, Callable[[Asked], dict[str, Any]]]] = {
    "preview": _preview,
    "diff": _diff,
    "test": _test,
    "usage": _usage,
}


def printable_messages(messages: Sequence[Filled]) -> str:
    """The filled messages as one text, for comparing."""
    return "\n\n".join(
        f"{each.role or 'inserted'}:\n{formats.printable(each.text or each.problem)}" for each in messages
    )
