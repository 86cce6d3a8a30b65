"""Applying documents: versions, plans, releases and deployments; all or nothing."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval.models import Corpus
from tests.threads import DatabaseThread
from tests.unit.spec.test_check import BASE, SUPPORT
from tests.unit.spec.test_documents import JSON
from workflows import definitions
from workflows.actor import Actor
from workflows.definitions import Applied
from workflows.errors import Conflict, UnknownObject
from workflows.models import AuditEntry, Definition, DefinitionVersion, Deployment, Environment, Release
from workflows.releases import deployments
from workflows.spec.documents import SourceText

ANNA = Actor(kind="user", name="anna")
ALL = BASE + SUPPORT

PROMPT = "kind: Prompt\nname: p\nmessages: [{role: user, content: %s}]\n"
FLOW = "kind: Workflow\nname: %s\nsteps: [{id: a, prompt: %s, route: chat}]\n"
FAKE = (
    "kind: Provider\nname: fake\napi: scripted\nmodels: [{name: m}, {name: e, embeds: 8}]\n---\n"
    "kind: Route\nname: chat\ntargets: [fake/m]\n---\n"
)


def apply(text: str, *, dry_run: bool = False) -> Applied:
    return definitions.apply([SourceText("f.yaml", text)], actor=ANNA, dry_run=dry_run)


def applied(text: str) -> Applied:
    result = apply(text)
    assert result.errors == ()
    assert result.applied
    return result


def actions(result: Applied) -> dict[str, tuple[str, int]]:
    return {f"{change.kind}/{change.name}": (change.action, change.version) for change in result.plan}


def counts() -> tuple[int, int, int, int, int]:
    return (
        Definition.objects.count(),
        DefinitionVersion.objects.count(),
        Release.objects.count(),
        AuditEntry.objects.count(),
        Corpus.objects.count(),
    )


@pytest.mark.django_db
def test_new_documents_are_created_with_a_release_that_is_deployed() -> None:
    result = applied(ALL)

    assert actions(result) == {
        "Provider/fake": ("create", 1),
        "Route/chat": ("create", 1),
        "Prompt/triage": ("create", 1),
        "Prompt/answer": ("create", 1),
        "Tool/refund": ("create", 1),
        "Corpus/handbook": ("create", 1),
        "Workflow/support": ("create", 1),
    }
    (release,) = result.releases
    assert release.manifest == {
        "workflow": ["support", 1],
        "prompts": {"answer": 1, "triage": 1},
        "routes": {"chat": 1},
        "tools": {"refund": 1},
        "corpora": {"handbook": 1},
    }
    assert deployments.get("support", environment="production").stable == release
    assert Corpus.objects.get(name="handbook").dims == 384


@pytest.mark.django_db
def test_same_documents_again_change_nothing() -> None:
    applied(ALL)
    before = counts()

    result = applied(ALL)

    assert {change.action for change in result.plan} == {"unchanged"}
    assert {change.diff for change in result.plan} == {""}
    assert counts() == before


@pytest.mark.django_db
@pytest.mark.parametrize("media", ["yaml", "json"])
def test_what_is_exported_applies_as_nothing(media: Any) -> None:
    applied(ALL)
    before = counts()

    text = definitions.export(format=media)
    result = definitions.apply([SourceText("f", text, media)], actor=ANNA)

    assert result.errors == ()
    assert len(result.plan) == 7
    assert {change.action for change in result.plan} == {"unchanged"}
    assert counts() == before


@pytest.mark.django_db
def test_order_of_keys_survives() -> None:
    schema = "{type: object, properties: {zeta: {}, a: {}, long_one: {}, b: {}}}"
    applied(PROMPT % "x" + f"output: {schema}\n")

    body = definitions.get("Prompt", "p").body

    assert list(body) == ["kind", "name", "messages", "output"]
    assert list(body["output"]["properties"]) == ["zeta", "a", "long_one", "b"]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text("abc", min_size=1), JSON, min_size=1, max_size=4))
@pytest.mark.django_db
def test_any_document_is_unchanged_when_exported_and_applied(db: None, params: dict[str, Any]) -> None:
    saved = definitions.save(
        "Prompt", {"name": "p", "messages": [{"role": "user", "content": ""}], "params": params}, actor=ANNA
    )
    assert saved.errors == ()

    (change,) = apply(definitions.export(kinds=["Prompt"])).plan

    assert change.action == "unchanged"


@pytest.mark.django_db
def test_change_is_a_new_version_with_a_diff_and_an_audit_entry() -> None:
    applied(FAKE + PROMPT % "hello" + "---\n" + FLOW % ("w", "p"))

    result = applied(PROMPT % "goodbye")

    (change,) = result.plan
    assert (change.action, change.version) == ("new_version", 2)
    assert "--- Prompt/p@1\n+++ Prompt/p@2\n" in change.diff
    assert "-  - {role: user, content: hello}\n+  - {role: user, content: goodbye}\n" in change.diff
    entry = AuditEntry.objects.get(action="definition.save", object_id="p@2")
    assert (entry.actor, entry.object_kind, entry.data["diff"]) == ("anna", "Prompt", change.diff)


@pytest.mark.django_db
def test_release_is_made_for_every_workflow_whose_closure_changed() -> None:
    workflows = "---\n".join([FLOW % ("newest", "p"), FLOW % ("pinned", "p@1"), FLOW % ("other", "q")])
    other = "---\nkind: Prompt\nname: q\nmessages: [{role: user, content: x}]\n---\n"
    applied(FAKE + PROMPT % "one" + other + workflows)

    result = applied(PROMPT % "two")

    (release,) = result.releases
    assert (release.workflow, release.number) == ("newest", 2)
    assert release.manifest["prompts"] == {"p": 2}
    assert Release.objects.get(workflow="pinned").manifest["prompts"] == {"p@1": 1}


@pytest.mark.django_db
def test_only_the_first_release_is_deployed_and_only_where_it_may_be() -> None:
    Environment.objects.create(name="vault", protected=True)
    Environment.objects.create(name="staging")
    applied(FAKE + PROMPT % "one" + "---\n" + FLOW % ("w", "p"))

    applied(PROMPT % "two")

    found = Deployment.objects.values_list("environment_id", "stable__number").order_by("environment_id")
    assert list(found) == [("production", 1), ("staging", 1)]


@pytest.mark.django_db
def test_change_of_a_provider_makes_no_release() -> None:
    applied(FAKE + PROMPT % "one" + "---\n" + FLOW % ("w", "p"))

    result = applied(FAKE.replace("{name: m}", "{name: m, context_tokens: 9}"))

    assert actions(result) == {"Provider/fake": ("new_version", 2), "Route/chat": ("unchanged", 1)}
    assert result.releases == ()


@pytest.mark.django_db
def test_any_error_means_that_nothing_is_written() -> None:
    result = apply(FAKE + PROMPT % "'{{ nope }}'" + "---\n" + FLOW % ("w", "q"))

    assert [str(error) for error in result.errors] == [
        "f.yaml:12: messages[0].content: "
        "names 'nope', which is none of the prompt's variables (there are none)",
        "f.yaml:16: steps[0].prompt: there is no Prompt 'q'",
    ]
    assert (result.plan, result.applied) == ((), False)
    assert counts() == (0, 0, 0, 0, 0)


@pytest.mark.django_db
def test_change_that_breaks_a_saved_document_is_refused() -> None:
    applied(FAKE + PROMPT % "one" + "---\n" + FLOW % ("w", "p"))
    before = counts()

    result = apply(PROMPT % "'{{ who }}'" + "variables: {who: {type: string}}\n")
    without_model = apply("kind: Provider\nname: fake\napi: scripted\nmodels: [{name: other}]\n")

    assert [str(error) for error in result.errors] == [
        "saved Workflow w: steps[0].with: the Prompt 'p' needs the variable 'who'"
    ]
    assert [str(error) for error in without_model.errors] == [
        "saved Route chat: targets[0]: the Provider 'fake' has no model 'm'; it has: other"
    ]
    assert counts() == before


@pytest.mark.django_db
def test_dry_run_tells_the_plan_and_writes_nothing() -> None:
    result = apply(ALL, dry_run=True)

    assert len(result.plan) == 7
    assert not result.applied
    assert result.plan[0].diff.startswith("--- /dev/null\n+++ Provider/fake@1\n")
    assert counts() == (0, 0, 0, 0, 0)


@pytest.mark.django_db
def test_corpus_that_retrieval_refuses_is_an_error_of_its_document() -> None:
    result = apply("kind: Corpus\nname: c\nembedding: local/wordllama\nchunk: {tokens: 20}\n")

    (error,) = result.errors
    assert (error.file, error.line, error.path) == ("f.yaml", 3, "embedding")
    assert "overlap" in error.message
    assert counts() == (0, 0, 0, 0, 0)


@pytest.mark.django_db
def test_archived_name_that_comes_back_goes_on_counting() -> None:
    applied(PROMPT % "one")
    Definition.objects.update(archived_at="2025-01-01T00:00:00Z")

    result = applied(PROMPT % "two")

    assert actions(result) == {"Prompt/p": ("create", 2)}
    assert definitions.get("Prompt", "p").version == 2


@pytest.mark.django_db
def test_versions_can_be_read_by_number() -> None:
    applied(PROMPT % "one")
    applied(PROMPT % "two")

    assert definitions.get("Prompt", "p", 1).body["messages"][0]["content"] == "one"
    assert [found.version for found in definitions.newest("Prompt")] == [2]
    for name, version in (("p", 3), ("x", None), ("p\0", 9)):
        with pytest.raises(UnknownObject):
            definitions.get("Prompt", name, version)


@pytest.mark.django_db
def test_export_takes_kinds_and_names() -> None:
    applied(ALL)

    assert definitions.export(kinds=["Tool"]).startswith("kind: Tool\nname: refund\n")
    assert definitions.export(names=["triage"]).count("kind: ") == 1
    assert definitions.export(kinds=["Tool"], names=["triage"]) == ""


@pytest.mark.django_db
def test_deploy_moves_new_runs_and_says_who_and_why() -> None:
    applied(FAKE + PROMPT % "one" + "---\n" + FLOW % ("w", "p"))
    applied(PROMPT % "two")

    deployments.deploy("w", environment="production", release=2, actor=ANNA, reason="better")
    deployments.deploy("w", environment="production", release=2, actor=ANNA, reason="again")

    assert deployments.get("w", environment="production").stable.number == 2
    entry = AuditEntry.objects.get(action="deployment.deploy", reason="better")
    assert (entry.object_id, entry.data) == ("w/production", {"release": 2, "before": 1})
    assert not AuditEntry.objects.filter(reason="again").exists()


@pytest.mark.django_db
def test_deploy_of_what_is_not_there_is_refused() -> None:
    applied(FAKE + PROMPT % "one" + "---\n" + FLOW % ("w", "p"))
    Environment.objects.create(name="empty")

    for workflow, environment, release in [
        ("w", "production", 9),
        ("w", "nope\0", 1),
        ("x", "production", 1),
    ]:
        with pytest.raises(UnknownObject):
            deployments.deploy(workflow, environment=environment, release=release, actor=ANNA)
    with pytest.raises(Conflict, match="has no release in environment empty"):
        deployments.get("w", environment="empty")


@pytest.mark.django_db(transaction=True)
def test_appliers_at_the_same_time_take_turns() -> None:
    applied(FAKE + PROMPT % "start" + "---\n" + FLOW % ("w", "p"))
    results: list[Applied] = []

    def work(number: int) -> None:
        results.append(
            apply(
                PROMPT % f"text{number % 3}"
                + f"---\nkind: Prompt\nname: n{number}\nmessages: [{{role: user, content: x}}]\n"
            )
        )

    threads = [DatabaseThread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [result.errors for result in results] == [()] * 6
    versions = list(DefinitionVersion.objects.filter(definition__name="p").order_by("version"))
    assert [found.version for found in versions] == list(range(1, len(versions) + 1))
    assert all(before.content_hash != after.content_hash for before, after in pairwise(versions))
    releases = Release.objects.filter(workflow="w").order_by("number")
    assert [release.manifest["prompts"]["p"] for release in releases] == [found.version for found in versions]
