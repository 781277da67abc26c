"""What is shown is whole, newest, and never less than it was."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from outrider.core.secret import Secret
from outrider.injector.certificates import (
    CertificateError,
    MountedFiles,
    ServedCertificate,
)
from tests.support.injector import Mount, RecordingInjectorEvents, der_of, key_of
from tests.support.tls import Issued, an_authority, self_signed

NAME = "outrider-injector.outrider-system.svc"


def sealed(issued: Issued) -> bytes:
    return issued.key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")
    )


@asynccontextmanager
async def listening(served: ServedCertificate) -> AsyncIterator[int]:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    server = await asyncio.start_server(hold, "127.0.0.1", 0, ssl=served.context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def shown_at(port: int, **options: Any) -> bytes:
    """The certificate (DER) that a client is shown. Raises what the handshake raises."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for name, value in options.items():
        setattr(context, name, value)
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        return writer.get_extra_info("ssl_object").getpeercert(True)  # type: ignore[no-any-return]
    finally:
        writer.transport.abort()


async def test_each_handshake_is_shown_the_newest() -> None:
    served = ServedCertificate(RecordingInjectorEvents())
    one, two = self_signed(NAME), self_signed(NAME)
    async with listening(served) as port:
        served.take(one.pem, Secret(key_of(one)), None)
        assert await shown_at(port) == der_of(one)
        served.take(two.pem, Secret(key_of(two)), None)
        assert await shown_at(port) == der_of(two)


async def test_before_the_first_certificate_no_handshake_ends_well() -> None:
    async with listening(ServedCertificate(RecordingInjectorEvents())) as port:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await shown_at(port)


@pytest.mark.parametrize(
    ("version", "taken"),
    [
        pytest.param(ssl.TLSVersion.TLSv1_1, False, id="1.1"),
        pytest.param(ssl.TLSVersion.TLSv1_2, True, id="1.2"),
        pytest.param(ssl.TLSVersion.TLSv1_3, True, id="1.3"),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
async def test_tls_1_2_or_newer_is_spoken(version: ssl.TLSVersion, taken: bool) -> None:
    served = ServedCertificate(RecordingInjectorEvents())
    one = self_signed(NAME)
    served.take(one.pem, Secret(key_of(one)), None)
    async with listening(served) as port:
        options = {"minimum_version": version, "maximum_version": version}
        if taken:
            assert await shown_at(port, **options) == der_of(one)
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await shown_at(port, **options)


def test_its_end_and_its_life_are_told() -> None:
    events = RecordingInjectorEvents()
    one = self_signed(NAME)
    ServedCertificate(events).take(one.pem, Secret(key_of(one)), None)
    until = one.certificate.not_valid_after_utc.timestamp()
    life = until - one.certificate.not_valid_before_utc.timestamp()
    assert events.shown == [(until, life)]


@pytest.mark.parametrize("case", ["another-key", "no-key", "sealed-key", "no-chain", "no-ca"])
def test_what_cannot_be_used_takes_nothing_away(case: str) -> None:
    events = RecordingInjectorEvents()
    served = ServedCertificate(events)
    one, two = self_signed(NAME), self_signed(NAME)
    served.take(one.pem, Secret(key_of(one)), None)
    before = served.shown
    chain, key, authorities = two.pem, key_of(two), None
    match case:
        case "another-key":
            key = key_of(one)
        case "no-key":
            key = b"-----BEGIN PRIVATE KEY-----\n"
        case "sealed-key":
            key = sealed(two)
        case "no-chain":
            chain = b"hello"
        case _:
            authorities = b"hello"
    with pytest.raises(CertificateError) as caught:
        served.take(chain, Secret(key), authorities)
    assert served.shown is before
    assert len(events.shown) == 1
    assert "PRIVATE" not in str(caught.value)


# --- mounted files ---


class Rounds:
    """A pause that lets the test act between two looks."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._go = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self._asked.set()
        await self._go.wait()
        self._go.clear()

    async def looked(self) -> None:
        await self._asked.wait()
        self._asked.clear()

    async def again(self) -> None:
        self._go.set()
        await self.looked()


@asynccontextmanager
async def watched(room: Path) -> AsyncIterator[tuple[ServedCertificate, Rounds]]:
    served, rounds = ServedCertificate(RecordingInjectorEvents()), Rounds()
    async with asyncio.TaskGroup() as group:
        job = group.create_task(MountedFiles(room, served, pause=rounds).run())
        await rounds.looked()
        yield served, rounds
        job.cancel()


async def test_files_are_taken_and_taken_again_when_the_link_moves(tmp_path: Path) -> None:
    mount, authority = Mount(tmp_path), an_authority()
    one, two = authority.issue(NAME), authority.issue(NAME)
    mount.write(one, ca=authority.pem)
    async with watched(tmp_path) as (served, rounds):
        assert served.shown is not None
        assert (served.shown.leaf, served.shown.authorities) == (der_of(one), authority.pem.strip())
        mount.write(two)
        await rounds.again()
        assert served.shown.leaf == der_of(two)
        assert served.shown.authorities is None


async def test_files_that_come_late_are_taken_when_they_come(tmp_path: Path) -> None:
    async with watched(tmp_path) as (served, rounds):
        assert served.shown is None
        one = self_signed(NAME)
        Mount(tmp_path).write(one)
        await rounds.again()
        assert served.shown is not None
        assert served.shown.leaf == der_of(one)


async def test_a_bad_generation_is_not_taken_and_the_next_good_one_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mount = Mount(tmp_path)
    one, two, three = (self_signed(NAME) for _ in range(3))
    mount.write(one)
    async with watched(tmp_path) as (served, rounds):
        mount.write(two, key=key_of(one))
        await rounds.again()
        await rounds.again()
        assert served.shown is not None
        assert served.shown.leaf == der_of(one)
        refused = [one for one in caplog.records if one.msg.startswith("the certificate's files")]
        assert len(refused) == 1, "told once"
        mount.write(three)
        await rounds.again()
        assert served.shown.leaf == der_of(three)


async def test_plain_files_without_a_link_are_looked_at_too(tmp_path: Path) -> None:
    one, two = self_signed(NAME), self_signed(NAME)
    for issued in (one, two):
        (tmp_path / f"{issued is one}").mkdir()
    (tmp_path / "tls.crt").write_bytes(one.pem)
    (tmp_path / "tls.key").write_bytes(key_of(one))
    async with watched(tmp_path) as (served, rounds):
        (tmp_path / "tls.crt").write_bytes(two.pem)
        await rounds.again()  # half written: not taken
        assert served.shown is not None
        assert served.shown.leaf == der_of(one)
        (tmp_path / "tls.key").write_bytes(key_of(two))
        await rounds.again()
        assert served.shown.leaf == der_of(two)


async def test_a_file_without_end_is_not_read_whole(tmp_path: Path) -> None:
    (tmp_path / "tls.crt").symlink_to("/dev/zero")
    (tmp_path / "tls.key").write_bytes(b"x")
    async with watched(tmp_path) as (served, _):
        assert served.shown is None
