"""One suite as an MCP server of the sessionless wire: `server.py SUITE`; prints its port.

`/mcp` is what the sidecar forwards to. `/_bench/init` gives it a fresh environment for one run,
`/_bench/verdict` says what AgentDojo makes of what was called since, and how long each call took
in here. One run at a time.
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import suites

MODERN: Final = "2026-07-28"
LISTED: Final = {"ttlMs": 3_600_000, "cacheScope": "public"}


class Bench:
    """The run under way, and what it is asked."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tools = suites.tools_of(name)
        self._lock = threading.Lock()
        self._run: suites.Run | None = None
        self._goal: str | None = None
        self._spent_s: list[float] = []

    def init(self, order: dict[str, Any]) -> dict[str, Any]:
        """`{task, goal, vectors, text}`: vectors are filled with the attack's text for `goal`, or
        with `text` where there is one."""
        own = suites.suite(self._name)
        goal, text = order["goal"], order["text"]
        if goal is not None:
            text = suites.attack_text(
                own.injection_tasks[goal].GOAL, own.user_tasks[order["task"]].PROMPT
            )
        injections = {} if text is None else dict.fromkeys(order["vectors"], text)
        with self._lock:
            self._run = suites.Run(self._name, order["task"], injections)
            self._goal, self._spent_s = goal, []
        return {}

    def verdict(self, _: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            run = self._run
            assert run is not None, "no run was begun"
            broken = run.is_broken(self._goal) if self._goal is not None else None
            useful = run.is_useful() if self._goal is None else None
            calls = [one.function for one in run.traces]
            return {"useful": useful, "broken": broken, "calls": calls, "spent_s": self._spent_s}

    def answer(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """The JSON-RPC answer; None for what wants none."""
        if "id" not in message:
            return None
        said = self._result(message.get("method"), message.get("params") or {})
        if said is None:
            error = {"code": -32601, "message": "no such method"}
            return {"jsonrpc": "2.0", "id": message["id"], "error": error}
        result = {"resultType": "complete", **said}
        return {"jsonrpc": "2.0", "id": message["id"], "result": result}

    def _result(self, method: object, params: dict[str, Any]) -> dict[str, Any] | None:
        if method == "server/discover":
            server = {"name": self._name, "version": suites.VERSION}
            caps: dict[str, Any] = {"tools": {}}
            return {
                "supportedVersions": [MODERN], "capabilities": caps, "serverInfo": server, **LISTED
            }  # fmt: skip
        if method == "tools/list":
            return {"tools": self._tools, **LISTED}
        if method == "tools/call":
            return self._call(str(params.get("name")), params.get("arguments") or {})
        return None

    def _call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            assert self._run is not None, "no run was begun"
            began_s = time.perf_counter()
            answer, error = self._run.call(tool, arguments)
            if error is not None:
                said: dict[str, Any] = {"content": [_text(error)], "isError": True}
            else:
                whole = json.dumps(answer, ensure_ascii=False)
                said = {"content": [_text(whole)], "structuredContent": answer, "isError": False}
            self._spent_s.append(time.perf_counter() - began_s)
            return said


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def handler(bench: Bench) -> type[BaseHTTPRequestHandler]:
    places = {
        "/mcp": bench.answer,
        "/_bench/init": bench.init,
        "/_bench/verdict": bench.verdict,
    }

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            place = places.get(self.path)
            if place is None:
                self._say(404, b"")
                return
            answer = place(json.loads(body))
            if answer is None:
                self._say(202, b"")
            else:
                self._say(200, json.dumps(answer, ensure_ascii=False).encode())

        def do_GET(self) -> None:
            self._say(405, b"")

        def do_DELETE(self) -> None:
            self._say(405, b"")

        def _say(self, status: int, body: bytes) -> None:
            head = (
                f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            self.wfile.write(head.encode() + body)  # in one piece: nobody waits for an ACK

        def log_message(self, *_: object) -> None: ...

    return Handler


def main(name: str) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(Bench(name)))
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
