"""The upstream of every leg: one nginx worker that answers the measured calls from memory."""

import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson

from tests.bench.calls import hot_answer, slow_answer
from tests.bench.figures import Case
from tests.bench.machine import Program, accepts, free_port

_CONFIG = """\
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  default_type application/json;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location ~ /mcp$ {{
      if ($http_mcp_method = "tools/call") {{ return 200 '{mcp}'; }}
      proxy_pass http://127.0.0.1:{slow};
    }}
    location / {{ return 200 '{http}'; }}
  }}
  server {{
    listen 127.0.0.1:{status};
    location / {{ stub_status; }}
  }}
}}
"""


class _SlowHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        try:
            message = orjson.loads(self.rfile.read(length))
        except orjson.JSONDecodeError:
            message = {}
        if "id" not in message:
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = slow_answer(message)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name upstream
        return


class Upstream:
    """nginx for the measured calls; a thread of ours for the few others it hands on."""

    def __init__(self, nginx: Path, folder: Path) -> None:
        self.port = free_port()
        self._status_port = free_port()
        self._asked = 0
        self._slow = ThreadingHTTPServer(("127.0.0.1", 0), _SlowHandler)
        threading.Thread(target=self._slow.serve_forever, daemon=True).start()
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "nginx.conf"
        config.write_text(
            _CONFIG.format(
                folder=folder,
                port=self.port,
                status=self._status_port,
                slow=self._slow.server_address[1],
                mcp=hot_answer(Case.MCP_READ).decode(),
                http=hot_answer(Case.HTTP).decode(),
            )
        )
        self._program = Program(
            "nginx", [nginx, "-e", "stderr", "-p", folder, "-c", config], folder=folder
        )

    def wait_ready(self) -> None:
        """Return once it listens; raises `BenchError` otherwise."""
        self._program.wait_ready(lambda: accepts(self.port), limit_s=10)

    def served(self) -> int:
        """How many requests it has read in all; asking counts as one, and is taken off."""
        self._asked += 1
        url = f"http://127.0.0.1:{self._status_port}/"
        with urllib.request.urlopen(url, timeout=5) as answer:
            words = answer.read().decode().split()
        # A line of names (server accepts handled requests), then a line of their three counts.
        return int(words[words.index("requests") + 3]) - self._asked

    def stop(self) -> None:
        """End both parts."""
        self._program.stop()
        self._slow.shutdown()
        self._slow.server_close()
