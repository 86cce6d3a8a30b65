"""What the inner step runs of an agent work with: the conversation so far, read from recorded state."""

from __future__ import annotations

from typing import Any

from workflows.engine.bundle import Bundle
from workflows.engine.commit import Claim
from workflows.engine.outcomes import Succeeded
from workflows.engine.plan import Node
from workflows.engine.port import Port
from workflows.engine.views import State
from workflows.step_kinds import agent, conversation

Json = Any


def turn(claim: Claim, bundle: Bundle, node: Node, port: Port, state: State) -> Succeeded:
    """Carry out one turn. Raises: StepFailure, ProviderError."""
    path, number, _ = conversation.located(claim.path)
    return agent.turn(
        node,
        bundle,
        number,
        state.given(path),
        conversation.read(state.below(f"{path}/turn["), before=number),
        port,
        path=path,
        frame=claim.item_hash,
        spent_usd=state.spent_usd(f"{path}/turn["),
    )


def used(claim: Claim, bundle: Bundle, node: Node, state: State) -> list[tuple[str, str]]:
    """Return what a turn uses, whatever comes of it: the version of the prompt that speaks."""
    path, number, _ = conversation.located(claim.path)
    said = conversation.read(state.below(f"{path}/turn["), before=number)
    return agent.uses(bundle, said.agent or agent.agent_body(node.step).prompt)


def call(claim: Claim, bundle: Bundle, node: Node, state: State) -> dict[str, Json]:
    """Return the rendered input of one tool call, as its turn recorded it."""
    path, number, position = conversation.located(claim.path)
    recorded = state.steps({"turn": f"{path}/turn[{number}]"})["turn"]["output"]
    assert position is not None, "a call has a position"
    return agent.called(bundle, node, recorded, position)
