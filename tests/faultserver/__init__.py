"""A provider that misbehaves on request: OpenAI's and Anthropic's formats over raw sockets, with every fault.

The first segment of the path names the fault, so one server serves all tests at once without any state:
`http://127.0.0.1:PORT/drip_body/v1`. Test code only; nothing of the product imports it.
"""

from tests.faultserver import content, transport
from tests.faultserver.answers import anthropic_events, openai_events, sse
from tests.faultserver.server import FAULTS, FaultServer
from tests.faultserver.transport import bomb

__all__ = [
    "FAULTS",
    "FaultServer",
    "anthropic_events",
    "bomb",
    "content",
    "openai_events",
    "sse",
    "transport",
]
