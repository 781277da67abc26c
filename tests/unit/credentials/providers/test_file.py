"""The file provider: for development, for listed upstreams, as the file is now."""

import asyncio

import pytest

from outrider.config.settings import Profile
from outrider.config.upstream_settings import FileCredential
from outrider.core.errors import ConfigError, CredentialUnavailableError
from outrider.core.ports import CredentialRequest
from outrider.core.secret import Secret
from outrider.credentials.providers.file import FileProvider
from tests.support.builders import NOW_UNIX_S, FixedClock, a_subject


def _request(**changes):
    fields = {
        "subject": a_subject(),
        "task": None,
        "upstream": "crm",
        "role": None,
        "scope": (),
        "ttl_s": None,
    }
    return CredentialRequest(**fields | changes)


def _provider(
    directory, clock=None, profile=Profile.DEVELOPMENT, key=b"k" * 32, kind=FileProvider, **changes
):
    return kind(
        name="crm-token",
        credential=FileCredential(**{"file": "token", "upstreams": ("crm",)} | changes),
        profile=profile,
        key=Secret(key),
        clock=clock or FixedClock(),
        directory=directory,
    )


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "token").write_bytes(b"s3cret-canary\n")
    return tmp_path


def _sent(lease):
    return [(name, value.reveal()) for name, value in lease.headers]


async def test_the_file_becomes_one_header(directory):
    lease = await _provider(directory).acquire(_request())
    assert _sent(lease) == [("authorization", b"Bearer s3cret-canary")]
    assert (lease.provider, lease.expires_unix_s) == ("crm-token", None)


async def test_header_and_scheme_are_settings(directory):
    lease = await _provider(directory, header="X-Api-Key", scheme="").acquire(_request())
    assert _sent(lease) == [("x-api-key", b"s3cret-canary")]


async def test_nothing_of_the_secret_is_shown(directory):
    lease = await _provider(directory).acquire(_request())
    assert "canary" not in repr(lease)
    assert lease.fingerprint.startswith("hmac-sha256:")


async def test_a_fingerprint_is_keyed(directory):
    prints = [
        (await _provider(directory, key=key).acquire(_request())).fingerprint
        for key in (b"a" * 32, b"a" * 32, b"b" * 32)
    ]
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(_request(upstream="mail"), id="another-upstream"),
        pytest.param(_request(role="admin"), id="role"),
        pytest.param(_request(scope=("mail:send",)), id="scope"),
    ],
)
async def test_what_the_file_is_not_for_is_refused(directory, request_):
    with pytest.raises(CredentialUnavailableError):
        await _provider(directory).acquire(request_)


async def test_a_wanted_life_is_the_leases_end(directory):
    lease = await _provider(directory).acquire(_request(ttl_s=60))
    assert lease.expires_unix_s == NOW_UNIX_S + 60


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="missing"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\n\n", id="only-lines"),
        pytest.param(b"a\r\nx-evil: 1", id="header-injection"),
        pytest.param(b"a\x00b", id="nul"),
        pytest.param("é".encode(), id="not-ascii"),
        pytest.param(b" leading", id="leading-space"),
        pytest.param(b"x" * 20_000, id="too-large"),
    ],
)
async def test_a_file_that_cannot_be_sent_is_unavailable_until_mended(directory, content):
    clock = FixedClock()
    provider = _provider(directory, clock)
    path = directory / "token"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(CredentialUnavailableError):
        await provider.acquire(_request())
    assert not provider.healthy()
    path.write_bytes(b"good")
    clock.pass_s(1)
    assert _sent(await provider.acquire(_request())) == [("authorization", b"Bearer good")]
    assert provider.healthy()


async def test_a_changed_file_is_taken_within_a_second(directory):
    clock = FixedClock()
    provider = _provider(directory, clock)
    first = await provider.acquire(_request())
    (directory / "token").write_bytes(b"another")
    assert (await provider.acquire(_request())).fingerprint == first.fingerprint
    clock.pass_s(1)
    second = await provider.acquire(_request())
    assert _sent(second) == [("authorization", b"Bearer another")]
    assert second.fingerprint != first.fingerprint
    assert _sent(await provider.renew(first)) == [("authorization", b"Bearer another")]


async def test_an_unchanged_file_is_not_read_again(directory):
    clock = FixedClock()
    provider = _provider(directory, clock)
    await provider.acquire(_request())
    held = provider._value
    clock.pass_s(5)
    await provider.acquire(_request())
    assert provider._value is held


class _Counting(FileProvider):
    """Counts how often the file was looked at."""

    looks = 0

    def _refresh(self):
        self.looks += 1
        super()._refresh()


async def test_many_callers_read_once(directory):
    provider = _provider(directory, kind=_Counting)
    leases = await asyncio.gather(*(provider.acquire(_request()) for _ in range(20)))
    assert provider.looks == 1
    assert len({lease.fingerprint for lease in leases}) == 1
    assert len({lease.id for lease in leases}) == 20


async def test_a_lease_that_is_given_back_is_forgotten_and_confirmed_by_nobody(directory):
    provider = _provider(directory)
    gone, kept = [await provider.acquire(_request()) for _ in range(2)]
    assert await provider.revoke(gone) is False
    assert _sent(gone) == [("authorization", b"")]
    assert _sent(kept) == [("authorization", b"Bearer s3cret-canary")]


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"profile": Profile.PRODUCTION}, id="production"),
        pytest.param({"header": "x y"}, id="no-header-name"),
        pytest.param({"header": "Host"}, id="host"),
        pytest.param({"header": "Transfer-Encoding"}, id="framing"),
        pytest.param({"scheme": "Bearer x"}, id="scheme"),
    ],
)
def test_what_must_not_be_is_refused_when_it_is_built(directory, settings):
    with pytest.raises(ConfigError, match=r"credentials\.crm-token"):
        _provider(directory, **settings)


async def test_a_file_that_does_not_answer_is_unavailable_and_asked_once_a_second(
    directory, monkeypatch
):
    monkeypatch.setattr("outrider.credentials.providers.file._READ_S", 0.01)
    clock = FixedClock()
    provider = _provider(directory, clock)
    async with provider._reading:
        with pytest.raises(CredentialUnavailableError, match="in time"):
            await provider.acquire(_request())
    with pytest.raises(CredentialUnavailableError, match="cannot be used"):
        await provider.acquire(_request())
    clock.pass_s(1)
    assert _sent(await provider.acquire(_request()))
