"""`scripted`: answers from the rules of the provider's document, without a network.

It ships with the product: demos and tests get deterministic, slow or faulty providers from it. The answer
depends on nothing but the document, the last message and the number of the call within its step, so a repeat
after a crash gets the same one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from providers import config, patterns
from providers.adapters.base import Call, Reply, Vectors, WireRequest
from providers.config import Rule
from providers.errors import ProviderError
from providers.messages import FinishReason, Request, ToolCall, Usage
from providers.wire import failures

# Each word of a text adds to this many places of its vector.
_PLACES = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a rule says to a message."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason = "stop"


class Scripted:
    """See the module."""

    def build(self, call: Call, request: Request) -> WireRequest:
        return WireRequest(body={"model": call.model.name, **_plain(request.as_json())})

    def send(self, call: Call, wire: WireRequest, secret: str | None) -> Reply:
        del secret
        sent = sum(_words(_text(message)) for message in wire.body["messages"])
        if call.model.context_tokens is not None and sent > call.model.context_tokens:
            raise call.error(
                f"{sent} words are more than the context of {call.model.context_tokens} tokens.",
                "context_overflow",
                status=400,
            )
        last = _text(wire.body["messages"][-1]) if wire.body["messages"] else ""
        rule = chosen(call.provider.rules, last, number=call.number, error=call)
        if rule is None:
            return _reply(call, Answer(text=last), sent=sent)
        call.time.phase = "first_byte"
        call.time.sleep(rule.latency_s)
        answer = _answer(call, rule, last)
        if rule.fault is not None:
            return _faulty(call, rule.fault, answer, sent=sent)
        return _reply(call, answer, sent=sent)

    def build_embedding(self, call: Call, texts: Sequence[str]) -> WireRequest:
        return WireRequest(body={"model": call.model.name, "input": list(texts)})

    def embed(self, call: Call, wire: WireRequest, secret: str | None) -> Vectors:
        del secret
        texts: list[str] = wire.body["input"]
        dims = call.model.embeds or 0
        return Vectors(
            vectors=np.stack([embedding(text, dims=dims) for text in texts]),
            usage=Usage(input=sum(_words(text) for text in texts), source="provider"),
            model_returned=call.model.name,
        )


def chosen(rules: Sequence[Rule], text: str, *, number: int, error: Call) -> Rule | None:
    """The rule for this text in the call with this number; None: echo.

    A rule with `times` answers that many of the calls that reach it, then the next rule that matches does.
    """
    for position, rule in enumerate(rules):
        try:
            matches = patterns.found(rule.match, text)
        except ValueError as reason:
            raise error.error(f"Rule {position + 1}: {reason}", "invalid_request") from reason
        if not matches:
            continue
        if rule.times is None or number < rule.times:
            return rule
        number -= rule.times
    return None


def embedding(text: str, *, dims: int) -> NDArray[np.float32]:
    """A unit vector, `(dims,) float32`, from the hashes of the text's words: equal words, near vectors."""
    vector = np.zeros(dims, dtype=np.float32)
    for word in text.lower().split() or [""]:
        digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=_PLACES * 4).digest()
        for start in range(0, len(digest), 4):
            number = int.from_bytes(digest[start : start + 4], "big")
            vector[(number >> 1) % dims] += 1.0 if number & 1 else -1.0
    length = float(np.linalg.norm(vector))
    if length == 0.0:
        vector[0] = length = 1.0
    return vector / np.float32(length)


def _answer(call: Call, rule: Rule, last: str) -> Answer:
    calls = tuple(
        ToolCall(
            id=f"call_{call.number}_{position}",
            name=str(body.get("name", "")),
            arguments=body.get("arguments", {}),
            raw_arguments=json.dumps(body.get("arguments", {})),
        )
        for position, body in enumerate(rule.tool_calls)
    )
    text = rule.reply if rule.reply is not None else ("" if calls else last)
    return Answer(text=text, tool_calls=calls, finish_reason="tool_call" if calls else "stop")


def _faulty(call: Call, fault: Mapping[str, Any], answer: Answer, *, sent: int) -> Reply:
    if "status" in fault:
        raise _refused(call, fault)
    half = " ".join(answer.text.split()[: max(1, _words(answer.text) // 2)])
    match fault.get("kind"):
        case "hang":
            call.time.sleep(max(call.time.left_s(), 0.0) + 1)
        case "reset":
            raise call.error(
                "The connection was reset before an answer began.", "connect", phase="first_byte"
            )
        case "truncate":
            partial = _reply(call, Answer(text=half, finish_reason="unknown"), sent=sent)
            raise call.error(
                "The answer broke off before its end mark.", "stream_truncated", phase="body", partial=partial
            )
        case "malformed":
            partial = Reply(record={"status": 200, "body": "<html>"})
            raise call.error("The answer is not JSON.", "malformed_body", status=200, partial=partial)
        case "refusal" | "content_filter" as reason:
            return _reply(call, Answer(text=answer.text, finish_reason=reason), sent=sent)
        case "length":
            return _reply(call, Answer(text=half, finish_reason="length"), sent=sent)
    raise call.error(f"The fault {dict(fault)!r} is unknown.", "invalid_request")


def _refused(call: Call, fault: Mapping[str, Any]) -> ProviderError:
    status = int(fault["status"])
    code = str(fault.get("code", ""))
    wait = fault.get("retry_after")
    return call.error(
        f"Answered with status {status}, as its rule says.",
        failures.error_class(status, code=code, codes={"insufficient_quota": "quota_exhausted"}),
        status=status,
        retry_after_s=None if wait is None else config.seconds(wait),
        partial=Reply(record={"status": status, "body": {"error": {"code": code}}}),
    )


def _reply(call: Call, answer: Answer, *, sent: int) -> Reply:
    call.time.token()
    usage = Usage(input=sent, output=_words(answer.text), source="provider")
    body = {
        "model": call.model.name,
        "text": answer.text,
        "tool_calls": [{"name": tool.name, "arguments": tool.arguments} for tool in answer.tool_calls],
        "finish_reason": answer.finish_reason,
        "usage": usage.as_json(),
    }
    return Reply(
        record={"status": 200, "body": body},
        text=answer.text,
        tool_calls=answer.tool_calls,
        finish_reason=answer.finish_reason,
        raw_finish_reason=answer.finish_reason,
        usage=usage,
        model_returned=call.model.name,
    )


def _plain(value: Any) -> Any:
    """Tuples as lists, as JSON has them."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _text(message: Mapping[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "\n".join(part["text"] for part in content)


def _words(text: str) -> int:
    return len(text.split())
