"""The scripted agent: it sends its calls to the sidecar and skips what is refused."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import orjson

from tests.scorecard.data import Call
from tests.scorecard.replay import Fate, Step, Stepped

MODERN: Final = "2026-07-28"
DECISION: Final = "dev.outrider/decision"
HOLDS: Final = frozenset({"held", "obligation"})
"""Reasons a hold comes back with; the chain says whether it was one."""


PAUSES: Final = frozenset({"audit_unavailable", "overload", "policy_timeout", "store_unavailable"})
"""Reasons that tell of a busy machine, not of the call: such a run is begun anew."""


class PausedError(Exception):
    """The sidecar refused because its machine did not keep up."""


class BrokenAnswerError(Exception):
    """What came back is neither an answer of the tool nor a refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """Calls one suite's tools through `url`, in the name of a task."""

    session: aiohttp.ClientSession
    url: str

    async def run(self, steps: Sequence[Step], task: str | None) -> list[Stepped]:
        """Every call in its order, whatever became of those before it."""
        return [await self._step(step, task) for step in steps]

    async def _step(self, step: Step, task: str | None) -> Stepped:
        body, headers = request(step.call, task)
        began_s = time.perf_counter()
        async with self.session.post(self.url, data=body, headers=headers) as answer:
            content = await answer.read()
        took_s = time.perf_counter() - began_s
        try:
            said = orjson.loads(content)
        except orjson.JSONDecodeError:
            raise BrokenAnswerError(f"{answer.status}: {content[:300]!r}") from None
        fate, codes, decision = fate_of(said)
        return Stepped(
            tool=step.call.tool,
            injected=step.injected,
            fate=fate,
            codes=codes,
            decision=decision,
            took_s=took_s,
        )


def request(call: Call, task: str | None) -> tuple[bytes, dict[str, str]]:
    """One `tools/call` of the sessionless wire."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "scorecard", "version": "1"},
    }
    params = {"name": call.tool, "arguments": dict(call.arguments), "_meta": meta}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": MODERN,
        "Mcp-Method": "tools/call",
        "Mcp-Name": call.tool,
    }
    if task is not None:
        headers["Outrider-Task"] = task
    return orjson.dumps(message), headers


def fate_of(said: Mapping[str, Any]) -> tuple[Fate, tuple[str, ...], str | None]:
    """What became of a call as far as the answer tells: its fate, the codes, the decision's id.

    Raises:
        BrokenAnswerError: the exchange itself failed; that is no fate of a call.
        PausedError: the machine did not keep up.
    """
    result = said.get("result")
    if not isinstance(result, Mapping):
        raise BrokenAnswerError(f"no result: {said!r:.300}")
    decision = (result.get("_meta") or {}).get(DECISION)
    if decision is None:
        return (Fate.FAILED if result.get("isError") else Fate.DONE), (), None
    reason = decision["reason"]
    if reason in PAUSES:
        raise PausedError(reason)
    codes = tuple(code for code in decision["reasons"] if code != reason) or (reason,)
    return (Fate.HELD if reason in HOLDS else Fate.DENIED), codes, decision["id"]
