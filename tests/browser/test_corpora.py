"""Corpora as people use them: files added with progress, searched, compared, gone back on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from console.models import Role
from tests import engine
from tests.browser.conftest import sign_in
from tests.db.retrieval import fixtures
from tests.web.api.test_documents import CORPUS
from workflows.engine import bundle
from workflows.models import Run, Upload


@pytest.fixture
def editing(clean: Page, context: BrowserContext, served: str, transactional_db: None) -> Page:
    """A clean page of somebody who may add documents."""
    bundle.forget_providers()
    sign_in(context, served, Role.EDITOR)
    return clean


def _text_file(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_two_files_are_added_with_progress_and_found(editing: Page, address: str, tmp_path: Path) -> None:
    engine.apply(CORPUS)
    editing.goto(address + "/corpora/handbook/")
    editing.get_by_role("link", name="Add documents").click()
    editing.locator("#file").set_input_files(
        [
            _text_file(tmp_path, "leave.md", "Thirty days of leave a year."),
            _text_file(tmp_path, "travel.txt", "Trains before planes."),
            _text_file(tmp_path, "fake.pdf", "This is no PDF."),
        ]
    )
    rows = editing.locator("[data-files] li")
    expect(rows).to_have_count(3)
    editing.get_by_role("button", name="Add documents").click()
    expect(rows.nth(0)).to_contain_text("Taken in")
    expect(rows.nth(1)).to_contain_text("Taken in")
    expect(rows.nth(2)).to_contain_text("it is not a PDF")
    assert rows.nth(0).locator("progress").evaluate("bar => bar.value") == 1
    expect(editing.locator("[data-said]")).to_have_text("2 taken in, 1 refused, 0 not sent.")
    expect(editing.locator(".ingest-progress")).to_contain_text("Waits for a worker")
    expect(editing.get_by_role("button", name="Add more")).not_to_have_class(re.compile("btn-primary"))
    expect(editing.locator("#main .btn-primary")).to_have_text("Open the run")
    engine.drain()
    expect(editing.locator(".ingest-progress")).to_contain_text("Snapshot 1: 2 processed", timeout=8000)
    expect(editing.locator("#main .btn-primary")).to_have_text("Show documents")
    editing.keyboard.press(".")  # what comes next has the key of the page's main action
    editing.get_by_role("link", name="Search", exact=True).click()
    editing.wait_for_url("**tab=search")
    editing.keyboard.press("/")
    editing.keyboard.type("leave")
    editing.keyboard.press("Enter")
    editing.wait_for_url("**q=leave**")
    expect(editing.locator(".hits li").first).to_contain_text("Thirty days of leave a year.")
    editing.locator(".hits a").first.click()
    expect(editing.locator("#passage")).to_have_text("Thirty days of leave a year.")


def test_a_file_of_200_mb_is_refused_in_place_and_never_sent(
    editing: Page, address: str, tmp_path: Path
) -> None:
    engine.apply(CORPUS)
    large = tmp_path / "large.txt"
    with large.open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    editing.goto(address + "/corpora/handbook/upload/")
    sent: list[str] = []
    editing.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    editing.locator("#file").set_input_files([str(large), _text_file(tmp_path, "x.docx", "PK")])
    rows = editing.locator("[data-files] li")
    expect(rows.nth(0)).to_contain_text("It has 209.7 MB; at most 64.0 MB are taken. Nothing was sent.")
    expect(rows.nth(1)).to_contain_text("Not a kind that can be read")
    editing.get_by_role("button", name="Leave x.docx out").click()
    expect(rows).to_have_count(1)
    assert not sent
    assert not Upload.objects.exists()
    assert not Run.objects.exists()


def test_an_upload_that_fails_keeps_its_files(
    page: Page, editing: Page, address: str, tmp_path: Path
) -> None:
    engine.apply(CORPUS)
    editing.goto(address + "/corpora/handbook/upload/")
    editing.locator("#file").set_input_files(_text_file(tmp_path, "a.txt", "Apples."))
    for event in ("console", "requestfailed"):
        page._impl_obj.remove_all_listeners(event)
    page.route("**/upload/", lambda route: route.abort())
    editing.get_by_role("button", name="Add documents").click()
    row = editing.locator("[data-files] li")
    expect(row).to_contain_text("The server did not answer; nothing of it was taken in.")
    page.unroute("**/upload/")
    editing.get_by_role("button", name="Add documents").click()
    expect(row).to_contain_text("Taken in")


def test_snapshots_are_compared_and_gone_back_on_by_keyboard(editing: Page, address: str) -> None:
    fixtures.make_corpus("handbook")
    fixtures.publish("handbook", {"leave.md": "Thirty days of leave a year."})
    fixtures.publish("handbook", {"leave.md": "No leave."})
    editing.goto(address + "/corpora/handbook/?tab=snapshots")
    editing.keyboard.press("j")
    editing.keyboard.press("Enter")
    editing.wait_for_url("**/snapshots/2/")
    editing.get_by_role("link", name="leave.md").click()
    expect(editing.locator(".diff")).to_contain_text("Thirty days of leave a year.")
    editing.goto(address + "/corpora/handbook/snapshots/1/")
    editing.get_by_role("link", name="Roll back…").click()
    expect(editing.get_by_role("dialog")).to_contain_text("0 added, 1 changed, 0 removed")
    editing.keyboard.type("it misled people")
    editing.keyboard.press("Enter")
    editing.wait_for_url("**/?tab=snapshots")
    expect(editing.locator("#toasts")).to_contain_text("Snapshot 3 is published, equal to 1.")
    expect(editing.locator("tbody tr").first).to_contain_text("equal to 1")


def test_a_document_is_removed_on_a_phone(editing: Page, address: str) -> None:
    editing.set_viewport_size({"width": 390, "height": 844})
    fixtures.make_corpus("handbook")
    fixtures.publish("handbook", {"leave.md": "Thirty days.", "b.md": "Another."})
    editing.goto(address + "/corpora/handbook/")
    editing.get_by_role("link", name="leave.md").click()
    editing.get_by_role("link", name="Remove…").click()
    editing.get_by_role("button", name="Remove").click()
    editing.wait_for_url("**/corpora/handbook/")
    expect(editing.locator("#toasts")).to_contain_text("leave.md is not in snapshot 2 any more.")
    expect(editing.locator("tbody tr")).to_have_count(1)
