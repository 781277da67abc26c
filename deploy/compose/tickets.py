"""A tool for the agent to call: tickets over HTTP. It trusts whoever reaches it."""

from http.server import BaseHTTPRequestHandler, HTTPServer


class Tickets(BaseHTTPRequestHandler):
    """Answers every path with one ticket."""

    def do_GET(self) -> None:
        body = b'{"id": 7, "title": "printer on fire"}\n'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_DELETE = do_GET


if __name__ == "__main__":
    HTTPServer(("", 8080), Tickets).serve_forever()
