"""The staff directory: a small HTTP API, with nothing but the standard library."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from upstream import announce, journal, listening  # type: ignore[import-not-found]

PEOPLE: Final = {
    "7": {"id": "7", "name": "Ada Lund", "team": "printers"},
    "8": {"id": "8", "name": "Tom Reyes", "team": "finance"},
}
LOG: Final = journal()


class Handler(BaseHTTPRequestHandler):
    """`GET /people`, `GET /people/{id}`, `DELETE /people/{id}`."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._note()
        if self.path == "/people":
            self._answer(200, list(PEOPLE.values()))
        elif (found := PEOPLE.get(self.path.removeprefix("/people/"))) is not None:
            self._answer(200, found)
        else:
            self._answer(404, {"error": "no such person"})

    def do_DELETE(self) -> None:
        self._note()
        self._answer(200, {"deleted": self.path.removeprefix("/people/")})

    def _note(self) -> None:
        LOG.note(f"{self.command} {self.path}", {}, self.headers.get("authorization"))

    def _answer(self, status: int, value: Any) -> None:  # noqa: ANN401
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401
        """Say nothing: the journal says it."""


def main() -> None:
    served = listening()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = served
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    announce(served)
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()
