"""How an agent is told what to do: a JSON line in, a JSON line out, until the input closes."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

Answer = dict[str, Any]
LIMIT = 2000


async def wait_for_go() -> str:
    """Everything is imported; the agent's own secret, which comes when the sidecar stands."""
    line: str = await asyncio.to_thread(sys.stdin.readline)
    return line.strip()


async def obey(do: Callable[[dict[str, Any]], Awaitable[Answer]]) -> None:
    """Do each command. What goes wrong is told, not raised: a refused agent goes on."""
    _say({"ready": True})
    while line := await asyncio.to_thread(sys.stdin.readline):
        command = json.loads(line)  # noqa: TID251 - from our own parent; no orjson here
        try:
            async with asyncio.timeout(command.get("within_s", 15)):
                answer = await do(command)
        except Exception as fault:  # noqa: BLE001 - whatever the SDK raises is what the agent saw
            answer = {"raised": f"{type(fault).__name__}: {fault}"[:LIMIT]}
        _say(answer)


def _say(answer: Answer) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def seen(result: Any) -> Answer:  # noqa: ANN401
    """A tool's result as the agent's model reads it; both SDKs spell it alike but for case."""
    text = " ".join(str(getattr(part, "text", "")) for part in result.content)
    is_error = getattr(result, "is_error", getattr(result, "isError", False))
    return {"text": text[:LIMIT], "is_error": bool(is_error)}
