"""Every example of README and docs is applied as it stands; the first workflow of engineers.md is run."""

from __future__ import annotations

import json

import pytest

from tests import engine
from tests.documentation import ROOT, Page, pages
from workflows import definitions, saved
from workflows.spec.documents import SourceText

pytestmark = pytest.mark.django_db(transaction=True)


def sources(page: Page) -> list[SourceText]:
    """A page's examples are one batch; an error in one names the page's own line."""
    lead = [(block.line - 1, block.text) for block in page.definitions()]
    return [SourceText(str(page), "\n" * lines + text) for lines, text in lead]


WITH_EXAMPLES = [page for page in pages() if page.definitions()]


@pytest.mark.parametrize("document", WITH_EXAMPLES, ids=str)
def test_the_examples_of_a_page_can_be_applied(document: Page) -> None:
    result = definitions.apply(sources(document), actor=engine.OPERATOR, dry_run=True)
    assert not result.errors, "\n".join(map(str, result.errors))
    assert result.plan
    assert not saved.load().versions


def test_the_first_workflow_gives_what_its_page_says() -> None:
    page = Page(ROOT / "docs" / "engineers.md")
    engine.apply(page.definitions()[0].text)
    given, told = (json.loads(block.text) for block in page.blocks() if block.info == "json")
    run = engine.run("sort-tickets", **given)
    assert run.state == "succeeded"
    assert engine.output(run) == told
