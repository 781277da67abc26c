"""What runs in pods of the test cluster: an upstream and agents, of Python's standard library."""

from typing import Final

UPSTREAM: Final = r"""
import http.server, os, socketserver, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        # one write a line: many threads say something
        os.write(1, f"seen {self.command} {self.path}\n".encode())
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
said = []

def call(address, path, method="GET", port=80, timeout=15):
    # Each call on a connection of its own, to the upstream's own address: nothing is configured.
    one = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        one.request(method, path)
        answer = one.getresponse()
        said[:] = [answer.read()[:200].decode("latin-1")]
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
        faults.append(status + " " + "".join(said))
    time.sleep(0.02)
print("tally", sent, len(faults), sorted(set(faults)), flush=True)
"""


DISCOVERY: Final = r"""
# What Prometheus's own discovery of pods tells, for a build of it that was made without: each
# declared port of each pod, under the labels that discovery gives. Arguments: address, port,
# kubectl and its options.
import http.server, json, re, subprocess, sys

def targets():
    told = subprocess.run([*sys.argv[3:], "get", "pods", "-A", "-o", "json"], capture_output=True)
    for pod in json.loads(told.stdout)["items"]:
        if not pod["status"].get("podIP"):
            continue
        spec, metadata = pod["spec"], pod["metadata"]
        labels = {
            "__meta_kubernetes_pod_label_" + re.sub(r"[^a-zA-Z0-9_]", "_", key): value
            for key, value in metadata.get("labels", {}).items()
        }
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            for port in container.get("ports", []):
                yield {
                    "targets": [pod["status"]["podIP"] + ":" + str(port["containerPort"])],
                    "labels": {
                        **labels,
                        "__meta_kubernetes_namespace": metadata["namespace"],
                        "__meta_kubernetes_pod_name": metadata["name"],
                        "__meta_kubernetes_pod_container_port_name": port.get("name", ""),
                    },
                }

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(list(targets())).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *parts):
        pass

http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
"""
