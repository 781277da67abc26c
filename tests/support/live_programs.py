"""What runs in pods of the test cluster: an upstream and agents, of Python's standard library."""

from typing import Final

UPSTREAM: Final = r"""
import http.server, socketserver, threading, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        print("seen", self.command, self.path, flush=True)
        if self.path.startswith("/slow"):
            time.sleep(3)
        body = b"a ticket"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *parts):
        pass

class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 256

Server(("0.0.0.0", 8080), Handler).serve_forever()
"""

_CALLS: Final = r"""
import http.client, socket, sys, time, os, signal

def call(address, path, method="GET", port=80, timeout=15):
    # Each call on a connection of its own, to the upstream's own address: nothing is configured.
    one = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        one.request(method, path)
        answer = one.getresponse()
        answer.read()
        return str(answer.status)
    except OSError as fault:
        return type(fault).__name__
    finally:
        one.close()

def tried(do):
    try:
        do()
        return "done"
    except OSError as fault:
        return os.strerror(fault.errno) if fault.errno else type(fault).__name__
"""


def an_agent_that(body: str) -> str:
    """A program: `call(address, path, method)` gives a status or the fault's name, `tried(do)`
    `done` or the fault in words."""
    return _CALLS + body


STEADY: Final = r"""
# Calls without pause until it is told to end; then two seconds more, and the tally.
address, ends, faults, sent = sys.argv[1] if len(sys.argv) > 1 else "10.0.0.50", None, [], 0

def told(*_):
    global ends
    ends = time.monotonic() + 2

signal.signal(signal.SIGTERM, told)
while ends is None or time.monotonic() < ends:
    sent += 1
    status = call(address, "/tickets?from=" + os.uname().nodename)
    if status != "200":
        faults.append(status)
    time.sleep(0.02)
print("tally", sent, len(faults), sorted(set(faults)), flush=True)
"""
