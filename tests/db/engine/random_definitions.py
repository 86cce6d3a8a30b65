"""Random workflow definitions: steps of many kinds that need each other, in scopes inside of scopes."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Json = Any
# How a later step reads a number out of what a step of this kind gave.
_NUMBER = {
    "set": "(steps.{0}.output.v or 0)",
    "fails": "(steps.{0}.output.v or 0 if steps.{0}.output else 0)",
    "branch": "(steps.{0}.output.case or 0)",
    "map": "(steps.{0}.output | map('default', 0, true) | sum)",
    "loop": "steps.{0}.output.turns",
    "wait": "1",
    "child": "steps.{0}.output",
}
CHILD = """
name: child
input: {type: object}
steps: [{id: a, set: {v: "{{ input.n * 2 }}"}}]
output: "{{ steps.a.output.v }}"
"""


@st.composite
def workflows(draw: st.DrawFn) -> dict[str, Json]:
    """Draw a workflow whose output is the sum of what its steps gave."""
    names = iter(f"s{n}" for n in range(1000))
    steps = draw(_scope(names, depth=2, around=()))
    total = " + ".join(_NUMBER[kind].format(step["id"]) for step, kind in steps)
    return {
        "name": "random",
        "steps": [step for step, _ in steps],
        "output": "{{ " + total + " }}",
    }


@st.composite
def _scope(
    draw: st.DrawFn, names: Any, depth: int, around: tuple[str, ...]
) -> list[tuple[dict[str, Json], str]]:
    """Draw one to four steps, each with the kind by which it is read. `around`: names that expressions may use."""
    found: list[tuple[dict[str, Json], str]] = []
    for _ in range(draw(st.integers(1, 4 if depth == 2 else 2))):
        kinds = ["set", "fails", "wait", "child"] + (["branch", "map", "loop"] if depth else [])
        kind = draw(st.sampled_from(kinds))
        needs = [step["id"] for step, _ in found if draw(st.booleans())]
        numbers = [_NUMBER[each].format(step["id"]) for step, each in found if step["id"] in needs]
        number = " + ".join([*numbers, *around, str(draw(st.integers(0, 3)))])
        step = {"id": next(names), "needs": needs, **draw(_body(kind, number, names, depth, around))}
        if kind == "set" and draw(st.integers(0, 4)) == 0:
            step["when"] = f"({number}) % 2 == 0"
        found.append((step, kind))
    return found


@st.composite
def _body(
    draw: st.DrawFn, kind: str, number: str, names: Any, depth: int, around: tuple[str, ...]
) -> dict[str, Json]:
    if kind == "set":
        return {"set": {"v": f"{{{{ {number} }}}}"}}
    if kind == "fails":
        return {"set": {"v": f"{{{{ 1 // (({number}) % 2) }}}}"}, "on_error": "continue"}
    if kind == "wait":
        return {"wait": {"for": "0s"}}
    if kind == "child":
        return {"workflow": "child", "with": {"n": f"{{{{ {number} }}}}"}}
    if kind == "branch":
        cases = [[step for step, _ in draw(_scope(names, depth - 1, around))] for _ in range(2)]
        return {
            "branch": [{"when": f"({number}) % 2 == 0", "steps": cases[0]}, {"else": None, "steps": cases[1]}]
        }
    if kind == "map":
        inner = draw(_scope(names, depth - 1, (*around, "item")))
        last, last_kind = inner[-1]
        return {
            "map": {
                "over": f"[1, 2, {number}][:{draw(st.integers(0, 3))}]",
                "max_parallel": draw(st.integers(1, 3)),
                "steps": [step for step, _ in inner],
                "output": "{{ " + _NUMBER[last_kind].format(last["id"]) + " }}",
            }
        }
    inner = draw(_scope(names, depth - 1, (*around, "turn")))
    return {
        "loop": {
            "max_turns": draw(st.integers(1, 3)),
            "until": f"turn >= {draw(st.integers(0, 2))}",
            "steps": [step for step, _ in inner],
        }
    }
