"""A client in a process of its own, so that only the listener's CPU is counted."""

import socket
import ssl
import sys
from pathlib import Path
from typing import Self

from tests.bench.identity.world import caller_context
from tests.bench.machine import Program

_LIMIT_S = 30.0
_END = b"\r\n\r\n"


class Caller:
    """One connection to a listener. Raises `OSError` for anything but a whole 200.

    What is asked may be sealed beforehand, so that a client in Python does not set the pace.
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        self._host = f"127.0.0.1:{port}"
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_LIMIT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._tls = None if tls is None else tls.wrap_bio(self._in, self._out)
        if self._tls is not None:
            self._shake_hands(self._tls)

    def sealed(self, path: str = "/a") -> bytes:
        """A request as it travels; sent in the order in which they were sealed."""
        text = f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\nAccept: */*\r\n\r\n".encode()
        if self._tls is None:
            return text
        self._tls.write(text)
        return self._out.read()

    def send(self, sealed: bytes) -> None:
        self._socket.sendall(sealed)

    def answer(self) -> bytes:
        data = b""
        while (end := data.find(_END)) < 0:
            data += self._more()
        head = data[:end].lower()
        if not head.startswith(b"http/1.1 200"):
            raise OSError(head[:40])
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        while len(data) < end + 4 + length:
            data += self._more()
        return data[end + 4 :]

    def get(self, path: str = "/a") -> bytes:
        self.send(self.sealed(path))
        return self.answer()

    def spent_us(self) -> float:
        """CPU of the listener's process so far."""
        return int(self.get("/cpu")) / 1000

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _shake_hands(self, tls: ssl.SSLObject) -> None:
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                self._socket.sendall(self._out.read())
                self._in.write(self._received())
            else:
                self._socket.sendall(self._out.read())
                return

    def _more(self) -> bytes:
        if self._tls is None:
            return self._received()
        while True:
            try:
                return self._tls.read(65_536)
            except ssl.SSLWantReadError:
                self._in.write(self._received())

    def _received(self) -> bytes:
        piece = self._socket.recv(65_536)
        if not piece:
            raise OSError("the listener closed the connection")
        return piece


class Listeners:
    """The process of `serving` and ways to its listeners. Used as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._program = Program(
            "listeners",
            [sys.executable, "-m", "tests.bench.identity.serving", folder],
            folder=folder,
            environment={"PYTHONPATH": str(Path(__file__).resolve().parents[3])},
        )

    def __enter__(self) -> Self:
        try:
            ports = self._folder / "ports"
            self._program.wait_ready(ports.exists, limit_s=_LIMIT_S)
            self._plain, self._bare, self._mtls = map(int, ports.read_text().split())
            self._tls = caller_context(self._folder)
        except BaseException:
            self._program.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._program.stop()

    def plain(self) -> Caller:
        return Caller(self._plain, None)

    def bare(self) -> Caller:
        return Caller(self._bare, self._tls)

    def mtls(self) -> Caller:
        return Caller(self._mtls, self._tls)
