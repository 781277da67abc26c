"""What stands outside the pod: a TLS server, a web server, and ears for datagrams.

Run as `python world.py FOLDER` in the world's namespace. Whatever reaches it is a line of
FOLDER/world.log: what, from where, and what was said.
"""

import asyncio
import ssl
import sys
from pathlib import Path

FOLDER = Path(sys.argv[1])
HOSTS = ("93.184.216.34", "2606:2800:220:1::7")
PLAIN_PORTS = (80, 9, 22, 8080)
SLOW_PORT = 7
LATE_S = 1.0
DATAGRAM_PORTS = (53, 443, 9999)
HEARD = (FOLDER / "world.log").open("a", buffering=1)


def hear(what: str, peer: tuple[object, ...], said: object) -> None:
    print(what, peer[0], said, file=HEARD)


async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    own, peer = writer.get_extra_info("sockname"), writer.get_extra_info("peername")
    hear("connected", peer, own[1])
    try:
        line = (await reader.readline()).decode("latin-1").strip()
        while (await reader.readline()) not in {b"\r\n", b""}:
            pass
        hear("http", peer, line)
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nworld"
        )
        await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    hear("tls", writer.get_extra_info("peername"), writer.get_extra_info("sockname")[0])
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads late, and says how much there was."""
    await asyncio.sleep(LATE_S)
    count = 0
    try:
        while data := await reader.read(65_536):
            count += len(data)
    except ConnectionError:
        pass
    hear("read", writer.get_extra_info("peername"), count)
    writer.close()


class Ears(asyncio.DatagramProtocol):
    def __init__(self, port: int) -> None:
        self.port = port

    def datagram_received(self, data: bytes, addr: tuple[object, ...]) -> None:
        hear("datagram", addr, f"{self.port} {data!r}")


async def main() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FOLDER / "server.pem")
    loop = asyncio.get_running_loop()
    for host in HOSTS:
        await asyncio.start_server(tls, host, 443, ssl=context)
        for port in PLAIN_PORTS:
            await asyncio.start_server(web, host, port)
        await asyncio.start_server(slow, host, SLOW_PORT)
    for host in (*HOSTS, "10.88.0.1"):
        for port in DATAGRAM_PORTS:
            await loop.create_datagram_endpoint(lambda port=port: Ears(port), (host, port))
    (FOLDER / "world.ready").touch()
    await asyncio.Event().wait()


asyncio.run(main())
