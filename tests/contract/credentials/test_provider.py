"""What every credential provider promises."""

import pytest

from outrider.config.settings import Profile
from outrider.config.upstream_settings import FileCredential
from outrider.core.errors import CredentialUnavailableError
from outrider.core.ports import CredentialRequest
from outrider.core.secret import Secret
from outrider.credentials.providers.file import FileProvider
from tests.support.builders import FixedClock, a_subject
from tests.support.pipeline import FixedProvider

REQUEST = CredentialRequest(
    subject=a_subject(), task=None, upstream="crm", role=None, scope=(), ttl_s=None
)


def _file(tmp_path, is_good):
    if is_good:
        (tmp_path / "token").write_bytes(b"token")
    return FileProvider(
        name="file",
        credential=FileCredential(file="token", upstreams=("crm",)),
        profile=Profile.DEMO,
        key=Secret(b"k" * 32),
        clock=FixedClock(),
        directory=tmp_path,
    )


def _fake(tmp_path, is_good):
    return FixedProvider(fault=None if is_good else CredentialUnavailableError("gone"))


@pytest.fixture(params=[_file, _fake], ids=["file", "fake"])
def make(request, tmp_path):
    return lambda is_good: request.param(tmp_path, is_good)


async def test_a_lease_names_itself_and_hides_its_secret(make):
    lease = await make(True).acquire(REQUEST)
    assert lease.id
    assert lease.provider
    assert lease.fingerprint
    for name, value in lease.headers:
        assert name == name.lower()
        assert isinstance(value, Secret)
        assert value.reveal().decode() not in repr(lease)


async def test_two_leases_are_told_apart(make):
    provider = make(True)
    assert (await provider.acquire(REQUEST)).id != (await provider.acquire(REQUEST)).id


async def test_a_renewed_lease_can_be_sent(make):
    provider = make(True)
    renewed = await provider.renew(await provider.acquire(REQUEST))
    assert all(value.reveal() for _, value in renewed.headers)


async def test_revoking_is_idempotent(make):
    provider = make(True)
    lease = await provider.acquire(REQUEST)
    assert await provider.revoke(lease) == await provider.revoke(lease)


async def test_without_a_credential_there_is_no_lease(make):
    with pytest.raises(CredentialUnavailableError):
        await make(False).acquire(REQUEST)
