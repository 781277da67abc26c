"""Who the caller is: by the connection, by a token, never by what it says."""

import os

import pytest

from outrider.config.settings import Identity, Listener
from outrider.core.errors import ConfigError, UnauthenticatedError
from outrider.core.vocabulary import Credential
from outrider.identity.bundles import BundleSource
from outrider.identity.causes import Cause
from outrider.identity.subject import LocalIdentifier
from tests.support.builders import (
    AGENT,
    NOW_UNIX_S,
    FixedClock,
    a_head,
    a_peer,
    a_tls_peer,
    an_exchange,
)
from tests.support.jwt import a_bundle, a_key, claims, mint

KEY = a_key()
OTHER = "spiffe://acme.test/ns/support/sa/other"


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "bundle.json"
    path.write_bytes(a_bundle(KEY.jwk()))
    bundles = BundleSource(paths={"acme.test": path})
    bundles.load()
    return bundles


def _identifier(source, clock=None, pod_uid=None, listener=None, **changes):
    listener = listener or Listener(bearer=True)
    return LocalIdentifier(
        settings=Identity(**{"spiffe_id": AGENT} | changes),
        listeners={"egress": listener},
        bundles=source,
        clock=clock or FixedClock(),
        pod_uid=pod_uid,
    )


def _with_token(*tokens, scheme="Bearer ", **changes):
    headers = tuple(("proxy-authorization", scheme + token) for token in tokens)
    return an_exchange(head=a_head(headers=headers), **changes)


async def _cause(identifier, exchange):
    with pytest.raises(UnauthenticatedError) as refusal:
        await identifier.authenticate(exchange)
    return Cause(refusal.value.cause)


async def test_the_local_agent_is_the_configured_identity(source):
    subject = await _identifier(source, pod_uid="7f3c").authenticate(an_exchange())
    assert (subject.id, subject.type, subject.trust_domain) == (AGENT, "agent", "acme.test")
    assert (subject.credential, subject.instance) == (Credential.ATTESTED_LOCAL, "pod:7f3c")
    assert subject.expires_unix_s is None


def test_without_a_pod_each_start_is_an_instance_of_its_own(source):
    first, second = _identifier(source).instance, _identifier(source).instance
    assert first.startswith("start:")
    assert first != second


UNIX = Listener(unix="/run/x.sock", uids=(1000,))
REFUSED = [
    pytest.param({}, {"peer": a_peer(loopback=False)}, Cause.NO_IDENTITY, id="not-loopback"),
    pytest.param({"attested_local": False}, {}, Cause.NO_IDENTITY, id="attestation-off"),
    pytest.param({"spiffe_id": None, "audience": "us"}, {}, Cause.NO_IDENTITY, id="no-own-id"),
    pytest.param({}, {"listener": "ingress"}, Cause.NO_IDENTITY, id="another-listener"),
    pytest.param(
        {"listener": UNIX},
        {"peer": a_peer(transport="unix", loopback=False, uid=1001)},
        Cause.UID_NOT_ALLOWED,
        id="another-uid",
    ),
    pytest.param(
        {"listener": UNIX},
        {"peer": a_peer(transport="unix", loopback=True, uid=None)},
        Cause.UID_NOT_ALLOWED,
        id="uid-unknown",
    ),
    pytest.param(
        {},
        {"peer": a_peer(tls=a_tls_peer(AGENT))},
        Cause.NO_IDENTITY,
        id="tls-is-not-local",
    ),
]


@pytest.mark.parametrize(("settings", "exchange", "cause"), REFUSED)
async def test_who_is_not_proven_is_refused(source, settings, exchange, cause):
    assert await _cause(_identifier(source, **settings), an_exchange(**exchange)) is cause


@pytest.mark.parametrize("uids", [(1000, 1001), (1001,)])
async def test_a_unix_peer_is_known_by_its_uid(source, uids):
    identifier = _identifier(source, listener=Listener(uids=uids))
    peer = a_peer(transport="unix", loopback=False, uid=1001)
    assert (await identifier.authenticate(an_exchange(peer=peer))).id == AGENT


async def test_without_a_list_only_our_own_uid_is_accepted(source):
    identifier = _identifier(source, listener=Listener())
    own = a_peer(transport="unix", loopback=False, uid=os.getuid())
    assert (await identifier.authenticate(an_exchange(peer=own))).id == AGENT
    other = a_peer(transport="unix", loopback=False, uid=os.getuid() + 1)
    assert await _cause(identifier, an_exchange(peer=other)) is Cause.UID_NOT_ALLOWED


async def test_identity_headers_prove_nothing(source):
    headers = (("outrider-subject", AGENT), ("authorization", "Bearer " + mint(KEY)))
    exchange = an_exchange(head=a_head(headers=headers), peer=a_peer(loopback=False))
    assert await _cause(_identifier(source), exchange) is Cause.NO_IDENTITY


async def test_a_token_is_the_subject_where_the_connection_is_silent(source):
    identifier = _identifier(source, attested_local=False)
    subject = await identifier.authenticate(_with_token(mint(KEY, claims(sub=OTHER))))
    assert (subject.id, subject.credential) == (OTHER, Credential.JWT_SVID)
    assert (subject.instance, subject.expires_unix_s) == (None, NOW_UNIX_S + 300)


async def test_our_own_token_carries_our_instance(source):
    subject = await _identifier(source, pod_uid="7").authenticate(_with_token(mint(KEY)))
    assert (subject.credential, subject.instance) == (Credential.JWT_SVID, "pod:7")


@pytest.mark.parametrize("scheme", ["bearer ", "BEARER  "])
async def test_the_scheme_is_read_in_any_case(source, scheme):
    exchange = _with_token(mint(KEY), scheme=scheme)
    assert (await _identifier(source).authenticate(exchange)).credential is Credential.JWT_SVID


TOKENS = [
    pytest.param({}, [mint(KEY, claims(sub=OTHER))], Cause.DISAGREEING, id="two-callers"),
    pytest.param({}, [mint(KEY), mint(KEY)], Cause.MALFORMED_TOKEN, id="two-tokens"),
    pytest.param({}, [""], Cause.MALFORMED_TOKEN, id="empty"),
    pytest.param({}, [mint(KEY, claims(exp=int(NOW_UNIX_S) - 60))], Cause.EXPIRED, id="expired"),
    pytest.param({}, [mint(a_key())], Cause.BAD_SIGNATURE, id="foreign-key"),
    pytest.param(
        {}, [mint(KEY, claims(sub="spiffe://evil.test/x"))], Cause.UNKNOWN_DOMAIN, id="foreign"
    ),
    pytest.param({"audience": "elsewhere"}, [mint(KEY)], Cause.WRONG_AUDIENCE, id="audience"),
    pytest.param(
        {"listener": Listener()}, [mint(KEY)], Cause.BEARER_NOT_ALLOWED, id="listener-says-no"
    ),
    pytest.param(
        {"spiffe_id": None, "listener": Listener()},
        ["x"],
        Cause.BEARER_NOT_ALLOWED,
        id="no-audience",
    ),
]


@pytest.mark.parametrize(("settings", "tokens", "cause"), TOKENS)
async def test_a_token_that_does_not_count_refuses(source, settings, tokens, cause):
    assert await _cause(_identifier(source, **settings), _with_token(*tokens)) is cause


async def test_a_token_from_afar_does_not_count(source):
    exchange = _with_token(mint(KEY), peer=a_peer(loopback=False))
    assert await _cause(_identifier(source), exchange) is Cause.BEARER_NOT_ALLOWED


async def test_another_scheme_is_refused_not_ignored(source):
    exchange = _with_token("dXNlcjpwdw==", scheme="Basic ")
    assert await _cause(_identifier(source), exchange) is Cause.MALFORMED_TOKEN


async def test_a_known_token_ends_with_its_expiry(source):
    clock = FixedClock()
    identifier = _identifier(source, clock)
    exchange = _with_token(mint(KEY))
    assert await identifier.authenticate(exchange) == await identifier.authenticate(exchange)
    clock.pass_s(306)
    assert await _cause(identifier, exchange) is Cause.EXPIRED


async def test_a_known_token_does_not_outlive_a_change_of_the_bundles(source, tmp_path):
    identifier = _identifier(source)
    exchange = _with_token(mint(KEY))
    await identifier.authenticate(exchange)
    (tmp_path / "bundle.json").write_bytes(a_bundle(spiffe_sequence=2))
    assert await source.refresh()
    assert await _cause(identifier, exchange) is Cause.UNKNOWN_KEY


async def test_known_tokens_are_bounded(source):
    identifier = _identifier(source)
    first = _with_token(mint(KEY))
    await identifier.authenticate(first)
    identifier._tokens._known |= {n.to_bytes(4, "big"): None for n in range(1023)}
    await identifier.authenticate(_with_token(mint(KEY)))
    assert len(identifier._tokens._known) == 1024


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"spiffe_id": "nonsense"}, id="not-a-spiffe-id"),
        pytest.param({"spiffe_id": "spiffe://acme.test"}, id="a-trust-domain"),
        pytest.param({"trust_domains": ("Acme",)}, id="bad-trust-domain"),
        pytest.param({"spiffe_id": None}, id="bearer-without-audience"),
    ],
)
def test_an_identity_that_cannot_be_used_is_refused_at_the_start(source, settings):
    with pytest.raises(ConfigError, match=r"identity\."):
        _identifier(source, **settings)
