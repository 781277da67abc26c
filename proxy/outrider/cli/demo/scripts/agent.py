"""A scripted agent on the official client (`mcp` 2.3.0), which speaks both wires.

Its own secret goes with everything it sends: it is the one thing no upstream may ever see.
"""

import argparse
import asyncio
from contextlib import AsyncExitStack
from typing import Any

import httpx2  # type: ignore[import-not-found]
from mcp.client.client import Client  # type: ignore[import-not-found]
from mcp.client.streamable_http import streamable_http_client  # type: ignore[import-not-found]
from talk import LIMIT, Answer, obey, seen, wait_for_go  # type: ignore[import-not-found]


class Agent:
    """Open sessions, one for each MCP upstream, and a plain HTTP client."""

    def __init__(self, base: str, http: Any, clients: dict[str, Any]) -> None:  # noqa: ANN401
        self._base = base
        self._http = http
        self._clients = clients

    async def do(self, command: dict[str, Any]) -> Answer:
        client: Any = self._clients.get(command.get("at", ""))
        match command["do"]:
            case "list":
                listed = await client.list_tools(cache_mode="refresh")
                return {
                    "tools": [tool.name for tool in listed.tools],
                    "wire": client.protocol_version,
                }
            case "call":
                result = await client.call_tool(command["tool"], command["arguments"])
                return {**seen(result), "wire": client.protocol_version}
            case _:
                answer = await self._http.request(
                    command["method"], self._base + command["path"], headers=command["headers"]
                )
                return {"status": answer.status_code, "text": answer.text[:LIMIT]}


async def run(base: str, upstreams: list[str]) -> None:
    secret = await wait_for_go()
    headers = {"authorization": f"Bearer {secret}"}
    async with AsyncExitStack() as stack:
        clients = {}
        for name in upstreams:
            http = await stack.enter_async_context(
                httpx2.AsyncClient(headers=headers, timeout=15, trust_env=False)
            )
            transport = streamable_http_client(f"{base}/{name}", http_client=http)
            clients[name] = await stack.enter_async_context(Client(transport))
        http = await stack.enter_async_context(
            httpx2.AsyncClient(headers=headers, timeout=15, trust_env=False)
        )
        await obey(Agent(base, http, clients).do)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--base", required=True)
    options.add_argument("--upstream", action="append", default=[])
    chosen = options.parse_args()
    asyncio.run(run(chosen.base, chosen.upstream))


if __name__ == "__main__":
    main()
