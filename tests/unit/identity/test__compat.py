"""What differs between Python's versions and platforms, on the one that runs this."""

import _ssl
import os
import ssl
import stat
import sys
from pathlib import Path

import pytest

from outrider.identity import _compat
from outrider.identity._compat import key_file, verified_chain
from tests.support.spiffe_ca import a_ca
from tests.support.spiffe_wire import open_descriptors, shaken, their_client, their_server


def _verifying(ca, **changes):
    client = their_client(None)
    client.verify_mode = ssl.CERT_REQUIRED
    client.load_verify_locations(cadata=ca.der)
    return client


def test_the_chain_is_as_openssl_verified_it_leaf_first_and_authority_last():
    ca = a_ca()
    between = ca.below()
    svid = between.svid()
    client, server = shaken(_verifying(ca), their_server(svid))
    assert verified_chain(client) == [svid.der, between.der, ca.der]
    assert verified_chain(server) == []


def test_without_verification_there_is_no_authority_to_take_it_for():
    ca = a_ca()
    client, _ = shaken(their_client(None), their_server(ca.svid()))
    assert ca.der not in verified_chain(client)


def test_before_the_handshake_there_is_none():
    context = their_client(None)
    assert verified_chain(context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())) == []


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="3.13 has public getters")
def test_the_encoding_is_still_der():
    assert _compat._ENCODING_DER == _ssl.ENCODING_DER


@pytest.mark.skipif(sys.version_info < (3, 13), reason="public getters come with 3.13")
def test_the_getter_is_public_and_speaks_der():
    assert hasattr(ssl.SSLObject, "get_verified_chain")


@pytest.mark.skipif(not _compat.HAS_MEMFD, reason="no memfd here")
@pytest.mark.parametrize("size", [pytest.param(11, id="small"), pytest.param(1 << 20, id="large")])
def test_a_key_is_in_memory_alone_and_gone_after(size: int):
    before = open_descriptors()
    with key_file(b"k" * size, on_disk=False) as path:
        assert Path(path).readlink().as_posix().startswith("/memfd:")
        assert Path(path).read_bytes() == b"k" * size
        assert not os.get_inheritable(int(Path(path).name))
    assert open_descriptors() == before
    assert not Path(path).exists()


def test_the_descriptor_is_closed_when_the_block_fails():
    before = open_descriptors()
    with pytest.raises(ZeroDivisionError), key_file(b"k", on_disk=False):
        raise ZeroDivisionError
    assert open_descriptors() == before


def test_without_memory_files_a_key_is_on_disk_only_where_that_is_allowed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(_compat, "HAS_MEMFD", False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(OSError, match="in memory"), key_file(b"key", on_disk=False):
        pass
    assert list(tmp_path.iterdir()) == []
    with key_file(b"key", on_disk=True) as path:
        file = Path(path)
        assert file.read_bytes() == b"key"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert list(tmp_path.iterdir()) == []
