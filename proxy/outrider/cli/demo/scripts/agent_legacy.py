"""A scripted agent on the older official client (`mcp` 1.30.0)."""

import argparse
import asyncio
from typing import Any

import httpx  # type: ignore[import-not-found]
from mcp import ClientSession  # type: ignore[import-not-found]
from mcp.client.streamable_http import streamable_http_client  # type: ignore[import-not-found]
from talk import Answer, obey, seen, wait_for_go  # type: ignore[import-not-found]


async def run(url: str) -> None:
    secret = await wait_for_go()
    headers = {"authorization": f"Bearer {secret}"}
    async with (
        httpx.AsyncClient(headers=headers, timeout=15, trust_env=False) as http,
        streamable_http_client(url, http_client=http) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        started = await session.initialize()

        async def do(command: dict[str, Any]) -> Answer:
            if command["do"] == "list":
                listed = await session.list_tools()
                return {
                    "tools": [tool.name for tool in listed.tools],
                    "wire": str(started.protocolVersion),
                }
            result = await session.call_tool(command["tool"], command["arguments"])
            return {**seen(result), "wire": str(started.protocolVersion)}

        await obey(do)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--base", required=True)
    options.add_argument("--upstream", required=True)
    chosen = options.parse_args()
    asyncio.run(run(f"{chosen.base}/{chosen.upstream}"))


if __name__ == "__main__":
    main()
