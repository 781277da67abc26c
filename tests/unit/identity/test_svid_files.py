"""SVIDs in files: taken whole or not at all, never another's, and kept while none can be read."""

import asyncio
import base64
import logging
import os
import shutil
import time

import pytest

from outrider.config.identity_settings import SvidFiles as SvidFilesSettings
from outrider.core.errors import ConfigError
from outrider.identity import svid_files
from outrider.identity.keeper import IdentityKeeper
from outrider.identity.snapshot import SourceState
from outrider.identity.svid_files import SvidFiles
from tests.support.builders import FixedClock
from tests.support.identity import RecordingIdentityEvents
from tests.support.spiffe_ca import a_ca, ed448_of_a_short_seed, unloadable_ca
from tests.support.svid_directory import pem_of, replace, write_svid

A, B = a_ca("a.test"), a_ca("b.test")
OTHER = a_ca("a.test", common="another root")
FEDERATED = {"b.test": "federated.b.test.pem"}
APPLIED, DISCARDED = ("x509", "applied"), ("x509", "discarded")


class _Files:
    """The source over `base`/svid, and looks at it one at a time."""

    def __init__(self, base, *, spiffe_id=None, federated=None, **settings):
        self.directory = base / "svid"
        self.clock = FixedClock(now_unix_s=time.time())
        self.events = RecordingIdentityEvents()
        self.keeper = IdentityKeeper(clock=self.clock, events=self.events)
        self.looks = 0
        self.source = SvidFiles(
            settings=SvidFilesSettings(directory="svid", federated=federated or {}, **settings),
            base=base,
            keeper=self.keeper,
            clock=self.clock,
            events=self.events,
            spiffe_id=spiffe_id,
            pause=self._pause,
        )

    async def _pause(self, _seconds):
        if self.looks == 0:
            raise asyncio.CancelledError
        self.looks -= 1

    async def look(self, times=1):
        """What the running source does in so many of its turns."""
        self.looks = times
        with pytest.raises(asyncio.CancelledError):
            await self.source.run()


def _load(files):
    files.source.load()
    return files


@pytest.fixture
def files(tmp_path):
    write_svid(tmp_path / "svid", A, federated=[B])
    return _load(_Files(tmp_path, federated=FEDERATED))


# --- the start ---


def test_the_layout_of_spiffe_helper_is_read(files):
    snapshot = files.keeper.snapshot()
    assert snapshot.svid.spiffe_id.text == "spiffe://a.test/planner"
    assert set(snapshot.x509) == set(snapshot.anchors) == {"a.test", "b.test"}
    assert files.keeper.state() is SourceState.SERVING
    assert files.events.updates == {APPLIED: 1}


def test_an_intermediate_behind_the_leaf_is_read(tmp_path):
    write_svid(tmp_path / "svid", A.below())
    assert len(_load(_Files(tmp_path)).keeper.own().svid.cert_chain) == 2


def test_names_of_files_are_settings(tmp_path):
    write_svid(tmp_path / "svid", A)
    for name in ("svid.pem", "svid_key.pem", "svid_bundle.pem"):
        (tmp_path / "svid" / name).rename(tmp_path / "svid" / f"my-{name}")
    files = _Files(
        tmp_path, certificate="my-svid.pem", key="my-svid_key.pem", bundle="my-svid_bundle.pem"
    )
    assert _load(files).keeper.own() is not None


def test_text_around_pem_blocks_is_passed_over(tmp_path):
    write_svid(tmp_path / "svid", A)
    path = tmp_path / "svid" / "svid_bundle.pem"
    path.write_bytes(b"subject=a.test\n" + path.read_bytes() + b"\n# end\n")
    assert _load(_Files(tmp_path)).keeper.own() is not None


def _break(name, data):
    def broken(directory):
        (directory / name).write_bytes(data)

    return broken


def _mode(mode):
    return lambda directory: (directory / "svid_key.pem").chmod(mode)


def _other_key(directory):
    write_svid(directory.parent / "other", A)
    shutil.copy2(directory.parent / "other" / "svid_key.pem", directory / "svid_key.pem")


def _pipe(directory):
    (directory / "svid.pem").unlink()
    os.mkfifo(directory / "svid.pem")


def _folder(directory):
    (directory / "svid.pem").unlink()
    (directory / "svid.pem").mkdir()


def _relabelled(directory):
    path = directory / "svid_key.pem"
    path.write_bytes(path.read_bytes().replace(b"PRIVATE KEY", b"ENCRYPTED PRIVATE KEY"))


def _pooled(directory):
    replace(directory / "svid_bundle.pem", pem_of(*[B] * 65))


SPOILT = [
    pytest.param(lambda d: (d / "svid.pem").unlink(), "certificate", id="no-certificate"),
    pytest.param(lambda d: (d / "svid_key.pem").unlink(), "key", id="no-key"),
    pytest.param(lambda d: (d / "svid_bundle.pem").unlink(), "bundle", id="no-bundle"),
    pytest.param(_break("svid.pem", b""), "certificate", id="empty-certificate"),
    pytest.param(_break("svid_bundle.pem", b""), "bundle", id="empty-bundle"),
    pytest.param(_break("svid_key.pem", b""), "key", id="empty-key"),
    pytest.param(_break("svid.pem", b"nonsense"), "certificate", id="nonsense"),
    pytest.param(
        _break("svid.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"),
        "certificate",
        id="no-der",
    ),
    pytest.param(
        _break("svid.pem", b"-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----"),
        "certificate",
        id="no-base64",
    ),
    pytest.param(
        _break("svid.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n"), "certificate", id="cut-short"
    ),
    pytest.param(_break("svid.pem", b"-" * ((1 << 20) + 1)), "certificate", id="too-large"),
    pytest.param(_pipe, "certificate", id="a-pipe"),
    pytest.param(_folder, "certificate", id="a-directory"),
    pytest.param(_mode(0o640), "key", id="key-for-the-group"),
    pytest.param(_mode(0o604), "key", id="key-for-everybody"),
    pytest.param(_relabelled, "key", id="key-encrypted"),
    pytest.param(_other_key, "fit", id="wrong-key"),
    pytest.param(lambda d: replace(d / "svid_bundle.pem", pem_of(OTHER)), "fit", id="wrong-bundle"),
    pytest.param(_pooled, "bundle", id="65-authorities"),
    pytest.param(lambda d: write_svid(d, A, seconds=(-60, -1)), "fit", id="expired"),
    pytest.param(lambda d: write_svid(d, A, usages=()), "certificate", id="X-10"),
    pytest.param(lambda d: write_svid(d, A, uris=("https://a.test/x",)), "certificate", id="X-14"),
    pytest.param(
        lambda d: replace(d / "svid.pem", pem_of(A)), "certificate", id="X-6-signing-certificate"
    ),
]


@pytest.mark.parametrize(("spoil", "names"), SPOILT)
def test_at_the_start_a_bad_file_is_an_error_that_names_it(tmp_path, spoil, names):
    write_svid(tmp_path / "svid", A)
    spoil(tmp_path / "svid")
    files = _Files(tmp_path)
    with pytest.raises(ConfigError) as raised:
        files.source.load()
    assert "identity.files" in str(raised.value)
    assert names in str(raised.value)
    assert files.keeper.state() is SourceState.WAITING


def test_at_the_start_a_federated_file_that_is_bad_is_an_error(tmp_path):
    write_svid(tmp_path / "svid", A)
    with pytest.raises(ConfigError, match=r"federated\.b\.test"):
        _Files(tmp_path, federated=FEDERATED).source.load()


def test_at_the_start_our_own_domain_is_not_federated(tmp_path):
    write_svid(tmp_path / "svid", A)
    with pytest.raises(ConfigError, match="our own trust domain"):
        _Files(tmp_path, federated={"a.test": "svid_bundle.pem"}).source.load()


def test_at_the_start_another_spiffe_id_is_an_error(tmp_path):
    write_svid(tmp_path / "svid", A)
    with pytest.raises(ConfigError, match="another SPIFFE ID"):
        _Files(tmp_path, spiffe_id="spiffe://a.test/other").source.load()


def test_an_error_holds_nothing_of_the_key(tmp_path):
    write_svid(tmp_path / "svid", A)
    path = tmp_path / "svid" / "svid_key.pem"
    secret = path.read_bytes().splitlines()[1].decode()
    path.write_bytes(path.read_bytes().replace(b"-----END", b"!-----END"))
    with pytest.raises(ConfigError) as raised:
        _Files(tmp_path).source.load()
    assert secret not in str(raised.value)


# --- changes ---


async def test_files_that_stand_still_are_not_read_again(files):
    before = files.keeper.snapshot()
    files.clock.pass_s(1)
    await files.look(3)
    assert files.keeper.snapshot() is before
    assert files.events.updates == {APPLIED: 1}
    assert files.keeper.contact_unix_s == files.clock.unix_s()


async def test_a_rotation_is_taken(files):
    before = files.keeper.own()
    write_svid(files.directory, A)
    await files.look()
    assert files.keeper.own().leaf_sha256 != before.leaf_sha256
    assert (files.keeper.snapshot().generation, files.events.updates[APPLIED]) == (2, 2)


async def test_a_directory_that_is_swapped_whole_is_taken(tmp_path):
    for name in ("one", "two"):
        write_svid(tmp_path / name, A, f"/{name}")
    (tmp_path / "svid").symlink_to("one")
    files = _Files(tmp_path)
    await asyncio.to_thread(files.source.load)
    (tmp_path / "fresh").symlink_to("two")
    (tmp_path / "fresh").replace(tmp_path / "svid")
    await files.look()
    assert files.keeper.own().spiffe_id.path == "/two"


async def test_files_half_written_wait_for_the_rest(files):
    before = files.keeper.snapshot()
    write_svid(files.directory.parent / "next", A)
    shutil.copy2(files.directory.parent / "next" / "svid_key.pem", files.directory)
    await files.look()
    assert (files.keeper.state(), files.events.updates[DISCARDED]) == (SourceState.SERVING, 0)
    await files.look(2)
    assert files.keeper.snapshot() is before
    assert files.keeper.state() is SourceState.DISCONNECTED
    assert files.events.updates[DISCARDED] == 1
    shutil.copy2(files.directory.parent / "next" / "svid.pem", files.directory)
    await files.look()
    assert files.keeper.state() is SourceState.SERVING
    assert files.keeper.snapshot().generation == 2


@pytest.mark.parametrize(("spoil", "names"), SPOILT)
async def test_a_bad_change_takes_nothing_away_and_is_told_of_once(files, spoil, names, caplog):
    before = files.keeper.snapshot()
    spoil(files.directory)
    with caplog.at_level(logging.WARNING, "outrider.identity"):
        await files.look(3)
    assert files.keeper.snapshot() is before
    assert files.keeper.state() is SourceState.DISCONNECTED
    assert files.events.updates == {APPLIED: 1, DISCARDED: 1}
    assert [names in record.fault for record in caplog.records] == [True]
    assert names in files.keeper.trouble


async def test_M1_a_key_that_cryptography_has_no_word_for_takes_nothing_away(files):
    before, key = files.keeper.snapshot(), ed448_of_a_short_seed()
    pem = b"-----BEGIN PRIVATE KEY-----\n%b-----END PRIVATE KEY-----\n" % base64.encodebytes(key)
    replace(files.directory / "svid_key.pem", pem, mode=0o600)
    await files.look(3)
    assert files.keeper.snapshot() is before
    assert "a key that cannot be read" in files.keeper.trouble


class PanicException(BaseException):
    """As a Rust extension raises it."""


@pytest.mark.parametrize("raised", [RuntimeError, PanicException])
async def test_M1_whatever_reading_raises_is_a_fault_of_the_files(files, raised, monkeypatch):
    def read(*_, **__):
        raise raised

    before = files.keeper.snapshot()
    write_svid(files.directory, A)
    monkeypatch.setattr(svid_files, "read_own_svid", read)
    await files.look(3)
    assert files.keeper.snapshot() is before
    assert files.events.updates == {APPLIED: 1, DISCARDED: 1}
    assert files.keeper.trouble == "identity.files hold what could not be read"
    with pytest.raises(ConfigError, match="could not be read"):
        await asyncio.to_thread(files.source.load)


async def test_M6_authorities_are_bounded_over_all_files(files, monkeypatch):
    monkeypatch.setattr(svid_files, "AUTHORITIES_TOTAL", 1)
    write_svid(files.directory, A, federated=[B])
    await files.look(3)
    assert files.keeper.trouble == "identity.files hold more than 1 authorities in all"


async def test_H1_a_federated_file_that_openssl_cannot_load_costs_its_own_domain_alone(files):
    der = base64.encodebytes(unloadable_ca())
    odd = b"-----BEGIN CERTIFICATE-----\n%b-----END CERTIFICATE-----\n" % der
    replace(files.directory / "federated.b.test.pem", pem_of(B) + odd)
    await files.look(2)
    assert files.keeper.state() is SourceState.SERVING
    assert set(files.keeper.snapshot().x509) == {"a.test"}
    assert "federated.b.test" in files.keeper.trouble


async def test_files_that_vanish_are_an_outage_and_what_is_held_ends_in_its_time(files):
    shutil.rmtree(files.directory)
    await files.look(2)
    assert files.keeper.own() is not None
    files.clock.now_unix_s = files.keeper.own().expires_unix_s
    assert files.keeper.state() is SourceState.EXPIRED
    write_svid(files.directory, A, federated=[B], seconds=(-60, 7200))
    await files.look()
    assert files.keeper.state() is SourceState.SERVING


async def test_a_leaf_that_is_not_valid_yet_is_taken_once_it_is(files):
    before = files.keeper.own()
    write_svid(files.directory, A, seconds=(60, 3600))
    await files.look(2)
    assert files.keeper.own() is before
    files.clock.pass_s(61)
    await files.look()
    assert files.keeper.own().leaf_sha256 != before.leaf_sha256


async def test_another_identity_in_the_files_ends_ours_and_is_not_taken(tmp_path, caplog):
    write_svid(tmp_path / "svid", A)
    files = _Files(tmp_path, spiffe_id="spiffe://a.test/planner")
    await asyncio.to_thread(files.source.load)
    write_svid(tmp_path / "svid", A, "/other")
    with caplog.at_level(logging.WARNING, "outrider.identity"):
        await files.look(3)
    assert (files.keeper.state(), files.keeper.snapshot().svid) == (SourceState.REDACTED, None)
    assert len(caplog.records) == 1
    write_svid(tmp_path / "svid", A)
    await files.look()
    assert files.keeper.own().spiffe_id.text == "spiffe://a.test/planner"


async def test_W_11_an_authority_that_left_the_file_is_no_anchor(files):
    replace(files.directory / "svid_bundle.pem", pem_of(A, OTHER))
    await files.look()
    assert len(files.keeper.snapshot().anchors["a.test"]) == 2
    replace(files.directory / "svid_bundle.pem", pem_of(A))
    await files.look()
    assert len(files.keeper.snapshot().anchors["a.test"]) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda path: path.unlink(), id="gone"),
        pytest.param(lambda path: path.write_bytes(b"nonsense"), id="nonsense"),
        pytest.param(lambda path: replace(path, pem_of(*[B] * 65)), id="65-authorities"),
    ],
)
async def test_a_federated_file_that_is_bad_costs_its_own_domain_alone(files, spoil):
    path = files.directory / FEDERATED["b.test"]
    spoil(path)
    await files.look(3)
    assert set(files.keeper.snapshot().x509) == {"a.test"}
    assert files.keeper.state() is SourceState.SERVING
    assert files.events.updates == {APPLIED: 2}
    replace(path, pem_of(B))
    await files.look()
    assert set(files.keeper.snapshot().x509) == {"a.test", "b.test"}


async def test_our_own_domain_among_the_federated_replaces_nothing(tmp_path):
    write_svid(tmp_path / "svid", B, federated=[A])
    files = _Files(tmp_path, federated={"a.test": "federated.a.test.pem"})
    await asyncio.to_thread(files.source.load)
    write_svid(tmp_path / "svid", A)
    replace(tmp_path / "svid" / "federated.a.test.pem", pem_of(OTHER))
    await files.look()
    authorities = files.keeper.snapshot().x509["a.test"].x509_authorities
    assert {each.subject for each in authorities} == {A.certificate.subject}
