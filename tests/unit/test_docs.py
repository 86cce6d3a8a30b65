"""What README and docs name exists: links, commands and their options, make's targets, settings, events."""

from __future__ import annotations

import re
from argparse import ArgumentParser, _SubParsersAction
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from tests.documentation import ROOT, Page, pages

SETTINGS = (ROOT / "console" / "settings.py").read_text()
TABLE = (ROOT / "docs" / "settings.md").read_text()
VARIABLE = re.compile(r"INTERLOCK_[A-Z_]*[A-Z]|DATABASE_URL|BROKER_URL")
every_page = pytest.mark.parametrize("document", pages(), ids=str)


def known_variables() -> set[str]:
    """What settings.py reads; the names of keys are put together there."""
    keys = {f"INTERLOCK_{name.upper()}" for name in re.findall(r'_(?:secret|key)\("(\w+)"\)', SETTINGS)}
    return keys | set(VARIABLE.findall(SETTINGS)) | {"INTERLOCK_HOME"}


@every_page
def test_links_lead_somewhere(document: Page) -> None:
    for link in document.links():
        name, _, anchor = link.partition("#")
        target = (document.path.parent / name).resolve() if name else document.path
        assert target.exists(), f"{document}: {link}"
        assert not anchor or anchor in Page(target).anchors(), f"{document}: {link}"


@every_page
def test_commands_and_their_options_exist(document: Page) -> None:
    for command, rest in re.findall(r"manage\.py ([a-z]+)\b([^`\n]*)", document.text):
        assert command in get_commands(), f"{document}: manage.py {command}"
        given = set(re.findall(r"(?<!\S)--[a-z-]+", re.sub(r"[|;&#].*|-c \".*|--input '.*?'", "", rest)))
        assert given <= options(command), f"{document}: manage.py {command}{rest}"


def options(command: str) -> set[str]:
    parser = load_command_class(get_commands()[command], command).create_parser("manage.py", command)
    return set(_options(parser)) | {"--home"}


def _options(parser: ArgumentParser) -> list[str]:
    found: list[str] = []
    for action in parser._actions:
        found += action.option_strings
        if isinstance(action, _SubParsersAction):
            found += [option for inner in action.choices.values() for option in _options(inner)]
    return found


@every_page
def test_targets_of_make_exist(document: Page) -> None:
    targets = re.findall(r"^([a-z-]+):", Path(ROOT, "Makefile").read_text(), re.MULTILINE)
    for target in re.findall(r"(?:`|^    |; )make ([a-z]+)", document.text, re.MULTILINE):
        assert target in targets, f"{document}: make {target}"


@every_page
def test_variables_are_settings(document: Page) -> None:
    assert set(VARIABLE.findall(document.text)) <= known_variables()


def test_every_setting_is_in_the_table_once() -> None:
    named = re.findall(r"^\| `([A-Z_]+)` \|", TABLE, re.MULTILINE)
    assert sorted(named) == sorted(known_variables())


def test_the_table_has_the_defaults_and_ranges_of_the_code() -> None:
    numbers = re.findall(r'_number\("(\w+)", ([\d.]+), low=([\d.]+), high=([\d.]+)\)', SETTINGS)
    assert len(numbers) > 5
    for name, default, low, high in numbers:
        assert f"| `{name}` | {default} | {low} to {high} |" in TABLE
    for name, default in re.findall(r'_words\("(\w+)"(?:, "([^"]*)")?\)', SETTINGS):
        assert f"| `{name}` | {f'`{default}`' if default else 'none'} |" in TABLE
    for name in re.findall(r'_flag\("(\w+)"\)', SETTINGS):
        assert f"| `{name}` | 0 | 0, 1 |" in TABLE


def test_every_event_that_the_engine_writes_is_explained() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    explained = set(re.findall(r"`((?:run|step|attempt)\.\w+)`", page))
    sources = [
        *ROOT.glob("workflows/engine/sql/*.sql"),
        *ROOT.glob("workflows/recovery/*.py"),
        *ROOT.glob("workflows/replay/forking.py"),
    ]
    named = re.compile(r"['\"]((?:run|step|attempt)\.[a-z_]+)['\"]")
    audited = {"run.retry", "run.fork", "step.resolve"}
    written = {event for source in sources for event in named.findall(source.read_text())} - audited
    assert len(written) > 8
    assert written <= explained
