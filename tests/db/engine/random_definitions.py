"""Random workflow definitions: steps of many kinds that need each other, in scopes inside of scopes.

What they ask outside is here: a scripted model that fails at times, a Python tool that a test can break by a file, a
corpus of two documents, and memory that each run writes before it reads it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st

from tests.db.retrieval import fixtures

Json = Any
# How a later step reads a number out of what a step of this kind gave; one whose failure was absorbed gave null.
_NUMBER: Final = {
    "set": "(steps.{0}.output.v or 0)",
    "fails": "(steps.{0}.output.v or 0)",
    "branch": "(steps.{0}.output.case or 0)",
    "map": "((steps.{0}.output or []) | map('default', 0, true) | sum)",
    "loop": "(steps.{0}.output.turns or 0)",
    "wait": "1",
    "child": "(steps.{0}.output or 0)",
    "prompt": "(steps.{0}.output.n or 0)",
    "tool": "(steps.{0}.output.v or 0)",
    "retrieve": "((steps.{0}.output.chunks or []) | length)",
    "write": "(steps.{0}.output.value or 0)",
    "read": "(steps.{0}.output.value or 0)",
}
_LEAVES: Final = ("set", "fails", "wait", "child", "prompt", "prompt", "tool", "tool", "retrieve")
# A failure of these is absorbed now and then.
_ABSORB: Final = ("prompt", "tool", "child", "branch", "map", "loop")
OTHERS: Final = f"""
kind: Provider
name: fake
api: scripted
models: [{{name: m, context_tokens: 8000, price: {{input: 1, output: 2}}}}, {{name: e, embeds: {fixtures.DIMS}}}]
rules: [{{match: '"n": [0-9]*3', fault: {{status: 503}}, times: 1}}]
---
{{kind: Route, name: chat, targets: [fake/m], retry: {{attempts: 2, first: 1ms, max: 2ms}}}}
---
kind: Prompt
name: echo
variables: {{n: {{type: integer}}}}
messages: [{{role: user, content: '{{"n": {{{{ n }}}} }}'}}]
output: {{type: object, required: [n], properties: {{n: {{type: integer}}}}}}
---
{{kind: Tool, name: fragile, python: "tests.definitions.functions:fragile", effect: idempotent, timeout: 20s}}
---
{{kind: Corpus, name: handbook, embedding: fake/e}}
"""
CHILD: Final = """
name: child
input: {{type: object}}
steps:
  - {{id: a, set: {{v: "{{{{ input.n * 2 }}}}"}}}}
  - {{id: b, tool: fragile, with: {{v: "{{{{ steps.a.output.v }}}}", broken_by: "{folder}/b"}}}}
output: "{{{{ steps.b.output.v }}}}"
"""


def child(folder: Path) -> str:
    """Return the workflow that others run; a file `b` in the folder breaks its second step."""
    return CHILD.format(folder=folder)


def publish() -> None:
    """Publish what is searched."""
    for number in (1, 2):
        fixtures.publish("handbook", {f"leave{number}.md": f"There are {number} days of leave."})


class _Drawer:
    """Draws the steps of one workflow; they are numbered through. `folder`: where files lie that break its tools."""

    def __init__(self, draw: st.DrawFn, folder: Path) -> None:
        self.draw, self.folder, self.count = draw, folder, 0

    def scope(self, depth: int, around: tuple[str, ...]) -> list[tuple[dict[str, Json], str]]:
        """Draw some steps, each with the kind by which it is read. `around`: names that expressions may use."""
        found: list[tuple[dict[str, Json], str]] = []
        for _ in range(self.draw(st.integers(1, 4 if depth == 2 else 2))):
            needs = [(step["id"], kind) for step, kind in found if self.draw(st.booleans())]
            kind = self.draw(st.sampled_from(self.kinds(depth, around, needs)))
            numbers = [_NUMBER[each].format(name) for name, each in needs]
            number = " + ".join([*numbers, *around, str(self.draw(st.integers(0, 3)))])
            self.count += 1
            step: dict[str, Json] = {"id": f"s{self.count}", "needs": [name for name, _ in needs]}
            if kind == "read":
                step["memory"] = {
                    "read": {"scope": "workflow", "key": next(n for n, k in needs if k == "write")}
                }
            else:
                step |= getattr(self, f"_{kind}")(step, number, depth, around)
            if kind == "set" and self.draw(st.integers(0, 4)) == 0:
                step["when"] = f"({number}) % 2 == 0"
            if kind in _ABSORB and self.draw(st.integers(0, 3)) == 0:
                step["on_error"] = "continue"
            found.append((step, kind))
        return found

    def kinds(self, depth: int, around: tuple[str, ...], needs: list[tuple[str, str]]) -> list[str]:
        """Say what a step may be. Items run side by side: none of them writes what another one would read."""
        kinds = [*_LEAVES, *(["branch", "map", "loop"] if depth else [])]
        if "item" not in around:
            kinds += ["write", *(["read"] if any(kind == "write" for _, kind in needs) else [])]
        return kinds

    def inner(self, depth: int, around: tuple[str, ...]) -> list[dict[str, Json]]:
        return [step for step, _ in self.scope(depth - 1, around)]

    def _set(self, step: Json, number: str, depth: int, around: tuple[str, ...]) -> dict[str, Json]:
        return {"set": {"v": f"{{{{ {number} }}}}"}}

    def _fails(self, step: Json, number: str, depth: int, around: tuple[str, ...]) -> dict[str, Json]:
        return {"set": {"v": f"{{{{ 1 // (({number}) % 2) }}}}"}, "on_error": "continue"}

    def _wait(self, step: Json, number: str, depth: int, around: tuple[str, ...]) -> dict[str, Json]:
        return {"wait": {"for": "0s"}}

    def _child(self, step: Json, number: str, depth: int, around: tuple[str, ...]) -> dict[str, Json]:
        return {"workflow": "child", "with": {"n": f"{{{{ {number} }}}}"}}

    def _prompt(self, step: Json, number: str, depth: int, around: tuple[str, ...]) -> dict[str, Json]:
        return {"prompt": "echo", "route": "chat", "with": {"n": f"{{{{ {number} }}}}"}}

    def _tool(self, step: Json, number: str, depth: int, around: tuple[str, ...]) -> dict[str, Json]:
        given = {"v": f"{{{{ {number} }}}}", "broken_by": f"{self.folder}/{step['id']}"}
        return {"tool": "fragile", "with": given}

    def _retrieve(self, step: Json, number: str, depth: int, around: tuple[str, ...]) -> dict[str, Json]:
        return {"retrieve": "handbook", "query": f"{{{{ {number} }}}} days of leave", "mode": "text"}

    def _write(self, step: Json, number: str, depth: int, around: tuple[str, ...]) -> dict[str, Json]:
        kept = {"scope": "workflow", "key": step["id"], "value": f"{{{{ {number} }}}}"}
        return {"memory": {"write": {**kept, "on_conflict": "overwrite"}}}

    def _branch(self, step: Json, number: str, depth: int, around: tuple[str, ...]) -> dict[str, Json]:
        cases = [self.inner(depth, around) for _ in range(2)]
        return {
            "branch": [{"when": f"({number}) % 2 == 0", "steps": cases[0]}, {"else": None, "steps": cases[1]}]
        }

    def _map(self, step: Json, number: str, depth: int, around: tuple[str, ...]) -> dict[str, Json]:
        inner = self.scope(depth - 1, (*around, "item"))
        last, last_kind = inner[-1]
        return {
            "map": {
                "over": f"[1, 2, {number}][:{self.draw(st.integers(0, 3))}]",
                "max_parallel": self.draw(st.integers(1, 3)),
                "on_item_error": self.draw(st.sampled_from(["fail", "fail", "continue"])),
                "steps": [step for step, _ in inner],
                "output": "{{ " + _NUMBER[last_kind].format(last["id"]) + " }}",
            }
        }

    def _loop(self, step: Json, number: str, depth: int, around: tuple[str, ...]) -> dict[str, Json]:
        return {
            "loop": {
                "max_turns": self.draw(st.integers(1, 3)),
                "until": f"turn >= {self.draw(st.integers(0, 2))}",
                "steps": self.inner(depth, (*around, "turn")),
            }
        }


@st.composite
def workflows(draw: st.DrawFn, folder: Path) -> dict[str, Json]:
    """Draw a workflow whose output is the sum of what its steps gave. A file in the folder breaks that step's tool."""
    steps = _Drawer(draw, folder).scope(2, ())
    total = " + ".join(_NUMBER[kind].format(step["id"]) for step, kind in steps)
    return {
        "name": "random",
        "steps": [step for step, _ in steps],
        "output": "{{ " + total + " }}",
    }
