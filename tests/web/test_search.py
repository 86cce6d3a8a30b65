"""The command menu's search, the list of shortcuts, and the sidebar."""

from __future__ import annotations

import re

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client, override_settings
from pytest_django import DjangoAssertNumQueries

from console import shortcuts
from console.home import ROOT
from console.models import Role
from tests import example_runs, factories
from tests.db.retrieval import fixtures
from workflows.models import Environment, Run
from workflows.models.releases import IMPORTED
from workflows.queries import jumping

pytestmark = pytest.mark.django_db
SCRIPTS = ROOT / "console" / "static" / "console" / "js"
TEMPLATES = ROOT / "templates"


def _find(client: Client, text: str) -> str:
    return client.get("/search/", {"q": text}, headers={"HX-Request": "true"}).content.decode()


def test_nothing_typed_offers_pages_and_actions(operator: Client) -> None:
    found = _find(operator, "")
    assert 'href="/runs/?state=attention"' in found
    assert ">Audit log<" in found
    assert 'form="sign-out"' in found
    assert "Members" not in found
    assert "<html" not in found


def test_applying_is_offered_to_those_who_may(operator: Client) -> None:
    assert 'href="/apply/"' not in _find(operator, "apply yaml")
    editor = Client()
    editor.force_login(factories.user(Role.EDITOR, "edith"))
    assert 'href="/apply/"' in _find(editor, "apply yaml")
    assert 'href="/workflows/_new/"' in _find(editor, "new workflow")


def test_it_is_a_page_of_its_own_without_scripts(operator: Client) -> None:
    page = operator.get("/search/?q=audit").content.decode()
    assert "<html" in page
    assert '<a class="command-row" href="/audit/"' in page
    assert 'role="option"' not in page.split("<main")[1].split("</main>")[0]


def test_runs_are_found_by_id_session_and_title(operator: Client) -> None:
    example_runs.succeeded_run(number=1)
    example_runs.failed_run(number=2)
    Run.objects.filter(pk="r_0000000000002").update(session="customer-7", title="Refund for Hartmann")
    by_id = _find(operator, "r_0000000000002")
    assert by_id.index("Refund for Hartmann") < by_id.index("in all runs")
    assert "r_0000000000001" not in by_id
    assert 'href="/runs/r_0000000000002/"' in _find(operator, "customer-7")
    assert 'href="/runs/r_0000000000002/"' in _find(operator, "hartmann")
    assert "/runs/?q=zebra&amp;range=all" in _find(operator, "zebra")


def test_definitions_and_corpora_are_found_by_a_part_of_their_name(operator: Client) -> None:
    factories.prompts()
    factories.release()
    fixtures.make_corpus("handbook")
    found = _find(operator, "assist")
    assert 'href="/workflows/docs-assistant/"' in found
    assert 'href="/workflows/docs-assistant/start/"' in found
    assert 'href="/prompts/answer/"' in _find(operator, "ANSW")
    assert 'href="/corpora/handbook/"' in _find(operator, "book")
    assert 'href="/workflows/docs-assistant/start/"' in _find(operator, "start docs")


def test_what_a_role_may_not_do_is_not_offered(viewer: Client) -> None:
    factories.release()
    assert "/start/" not in _find(viewer, "docs")
    assert "Audit log" not in _find(viewer, "audit")
    admin = Client()
    admin.force_login(factories.user(Role.ADMIN, "anna"))
    assert 'href="/settings/tokens/#new-token"' in _find(admin, "create")


@pytest.mark.parametrize("text", ["\0", "%", "_", "'; --", "<script>", "x" * 5000, "\ud800", "r_\0"])
def test_any_text_is_answered(operator: Client, text: str) -> None:
    example_runs.succeeded_run(number=1)
    answer = operator.get(
        "/search/", {"q": text.encode("utf-8", "surrogatepass")}, headers={"HX-Request": "true"}
    )
    assert answer.status_code == 200
    assert b"<script>" not in answer.content
    assert b"r_0000000000001" not in answer.content


def test_a_search_takes_few_queries(
    operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    factories.many_runs(200)
    with django_assert_max_num_queries(9):
        _find(operator, "question")


def test_looking_for_runs_reads_indexes_only() -> None:
    factories.many_runs(5000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE workflows_run")
    newest = Run.objects.order_by("-created_at", "-id")
    assert "Seq Scan" not in newest.filter(id__startswith="r_00000000000")[:6].explain()
    assert "run_newest" in newest.filter(id__startswith="r_")[:6].explain()
    assert "run_by_session" in newest.filter(session="customer-7")[:6].explain()
    assert len(jumping.runs("Question 0000")) == jumping.LIMIT


# --- shortcuts


def _keys_of_scripts() -> set[str]:
    """Every key that a script of ours compares with: `event.key === "x"`, and the names of its tables of keys."""
    found: set[str] = set()
    for path in SCRIPTS.glob("*.js"):
        text = path.read_text()
        found |= set(re.findall(r'event\.key(?:\.toLowerCase\(\))? === "([^"]+)"', text))
        for table in re.findall(r"const (?:steps|moves) = \{(.*?)\n\};", text, re.DOTALL):
            found |= set(re.findall(r"(?:^|[,\s])(\w+): \(", table))
        for first, last in re.findall(r'event\.key >= "(\d)" && event\.key <= "(\d)"', text):
            found |= {str(digit) for digit in range(int(first), int(last) + 1)}
    return found


def _keys_of_templates() -> set[str]:
    """What `data-keys="mod+shift+d"` is printed as on both kinds of keyboard."""
    chords = re.findall(r'data-keys="([^"]+)"', "".join(p.read_text() for p in TEMPLATES.rglob("*.html")))
    found: set[str] = set()
    for chord in chords:
        *held, key = chord.split("+")
        key = key.upper() if len(key) == 1 else key
        found.add("".join({"mod": "⌘", "shift": "⇧"}[each] for each in held) + key)
        found.add(" ".join([*({"mod": "Ctrl", "shift": "Shift"}[each] for each in held), key]))
    return found


_PRINTED = {"ArrowDown": "↓", "ArrowUp": "↑", "ArrowLeft": "←", "ArrowRight": "→", "Escape": "Esc"}
# Told in the text of another line, or keys of the open menu alone, where they are what everybody expects.
_ELSEWHERE = {"PageDown", "PageUp", "g"}


def test_every_key_of_the_scripts_is_in_the_help_and_the_other_way_round() -> None:
    told = {key for group in shortcuts.GROUPS for each in group.shortcuts for key in each.keys}
    heard = {_PRINTED.get(key, key) for key in _keys_of_scripts()} - _ELSEWHERE
    heard |= _keys_of_templates()
    assert heard - {"k"} <= told, "scripts hear keys that shortcuts.py does not tell"
    assert told - {"⌘K", "Ctrl K", "Tab"} <= heard, "shortcuts.py tells keys that no script hears"


def test_the_help_is_a_page_and_a_dialog_and_leaves_out_what_may_not_be_opened(
    operator: Client, viewer: Client
) -> None:
    page = operator.get("/shortcuts/").content.decode()
    assert "<html" in page
    assert "Pause a page that updates by itself" in page
    part = operator.get("/shortcuts/", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    other = Client()
    other.force_login(factories.user(Role.VIEWER, "vincent"))
    assert "Audit log" not in other.get("/shortcuts/", headers={"HX-Request": "true"}).content.decode()


def test_whatever_polls_is_told_of_when_it_fails() -> None:
    """The scripts know a part that polls by `data-poll`: one without it would go stale in silence."""
    polls = [
        tag
        for path in TEMPLATES.rglob("*.html")
        for tag in re.findall(r"<[a-z]+ .*every \d.*", path.read_text())
    ]
    assert len(polls) > 10
    assert not [tag[:80] for tag in polls if "data-poll" not in tag]


# --- the sidebar


def _counts(client: Client) -> dict[str, str]:
    part = client.get("/navigation/counts/").content.decode()
    return {name: text for name, text in re.findall(r'<em id="count-(\w+)"[^>]*>(.*?)</em>', part) if text}


def test_the_navigation_says_how_much_waits(operator: Client) -> None:
    assert _counts(operator) == {}
    example_runs.failed_run(number=1)
    example_runs.unknown_run(number=2)
    factories.run("running").step("a", "prompt", "ready")
    cache.clear()
    assert _counts(operator) == {"runs": "2", "queue": "1"}
    page = operator.get("/settings/").content.decode()
    assert 'title="2 runs need attention">2</em>' in page


def test_runs_that_were_taken_in_need_nobody_here(operator: Client) -> None:
    theirs = example_runs.failed_run(number=1).run
    other = example_runs.unknown_run(number=2).run
    Environment.objects.create(name=IMPORTED)
    Run.objects.filter(pk__in=[theirs.pk, other.pk]).update(environment=IMPORTED)
    example_runs.failed_run(number=3)
    assert _counts(operator) == {"runs": "1"}
    page = operator.get("/runs/?state=attention").content.decode()
    assert "Needs attention <span>1<" in page
    assert "/runs/r_0000000000003/" in page
    assert "/runs/r_0000000000001/" not in page
    assert "/runs/r_0000000000002/" not in page


def test_the_numbers_are_kept_for_a_while_and_cost_a_page_nothing(
    operator: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    _counts(operator)
    example_runs.failed_run(number=1)
    with django_assert_num_queries(2):  # session, person
        assert _counts(operator) == {}
    with django_assert_num_queries(2):
        operator.get("/shortcuts/")


def test_a_number_ends_at_999(operator: Client) -> None:
    factories.many_runs(1_005, states=("failed",))
    assert _counts(operator) == {"runs": "999+"}


def test_a_number_that_cannot_be_had_is_left_out_alone(operator: Client) -> None:
    example_runs.failed_run(number=1)
    factories.run("running").step("a", "prompt", "ready")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE workflows_approval RENAME TO workflows_approval_gone")
    assert _counts(operator) == {"runs": "1", "queue": "1"}
    assert operator.get("/shortcuts/").status_code == 200


def test_the_label_of_the_installation_is_on_every_page(operator: Client) -> None:
    with override_settings(LABEL="prod"):
        _check_label(operator)


def _check_label(operator: Client) -> None:
    assert b'<span class="label">prod</span>' in operator.get("/runs/").content
    assert b'<span class="label">prod</span>' in Client().get("/sign-in/").content


@pytest.mark.parametrize(
    ("name", "value"),
    [("density", "compact"), ("sidebar", "narrow"), ("shortcuts", "off"), ("theme", "dark")],
)
def test_looks_are_kept_and_drawn_by_the_server(operator: Client, name: str, value: str) -> None:
    operator.post("/appearance/", {name: value, "next": "/settings/appearance/"})
    page = operator.get("/settings/appearance/").content.decode()
    assert f'data-{name}="{value}"' in page
    assert re.search(rf'name="{name}" value="{value}" checked', page)
    operator.post("/appearance/", {name: "<b>"})
    assert f'data-{name}="{value}"' in operator.get("/runs/").content.decode()


def test_the_style_page_is_for_admins(operator: Client) -> None:
    assert operator.get("/style/").status_code == 403
    admin = Client()
    admin.force_login(factories.user(Role.ADMIN, "anna"))
    assert admin.get("/style/").status_code == 200
