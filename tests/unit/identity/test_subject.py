"""Who the caller is: by the connection, by a token, never by what it says."""

import os
from contextlib import suppress

import pytest

from outrider.config.identity_settings import Identity
from outrider.config.listener_settings import Listener
from outrider.core.errors import ConfigError, UnauthenticatedError
from outrider.core.subject import Subject
from outrider.core.vocabulary import Credential, Direction
from outrider.identity.bundles import Bundles, parse_bundle
from outrider.identity.causes import Cause
from outrider.identity.subject import CallerIdentifier, own_instance
from outrider.identity.tokens import Proof, TokenKind
from tests.support.builders import (
    AGENT,
    NOW_UNIX_S,
    FixedClock,
    a_head,
    a_peer,
    a_tls_peer,
    an_exchange,
)
from tests.support.identity import RecordingIdentityEvents, a_keeper, an_own_svid, hold
from tests.support.jwt import a_bundle, a_key, claims, mint

KEY = a_key()
OTHER = "spiffe://acme.test/ns/support/sa/other"
ISSUER = "https://login.corp.test"


class FixedIssuer:
    """Takes every token for alice's, bound to `leaf` where one is given."""

    def __init__(self, leaf=None, instance=None):
        subject = Subject(
            id="oidc:alice@corp",
            type="person",
            trust_domain=None,
            credential=Credential.OIDC,
            expires_unix_s=NOW_UNIX_S + 300,
            instance=instance,
        )
        self.proof = Proof(kind=TokenKind.OIDC, subject=subject, leaf_sha256=leaf)

    async def verified(self, digest, jws):
        return self.proof


def _bundles(*jwks, **members):
    return Bundles(by_domain={"acme.test": parse_bundle(a_bundle(*jwks, **members), "acme.test")})


@pytest.fixture
def keeper():
    keeper = a_keeper()
    keeper.take_listed(_bundles(KEY.jwk()))
    return keeper


def _identifier(
    keeper, clock=None, listener=None, events=None, issuers=None, pod_uid="7f3c", **changes
):
    """For a keeper that is asked at the same clock."""
    listener = listener or Listener(bearer=True)
    return CallerIdentifier(
        settings=Identity(**{"spiffe_id": AGENT} | changes),
        listeners={"egress": listener, "ingress": listener},
        keeper=keeper,
        events=events or RecordingIdentityEvents(),
        clock=clock or FixedClock(),
        instance=own_instance(pod_uid),
        issuers=issuers,
    )


def _with_token(*tokens, scheme="Bearer ", **changes):
    headers = tuple(("proxy-authorization", scheme + token) for token in tokens)
    return an_exchange(head=a_head(headers=headers), **changes)


async def _cause(identifier, exchange):
    with pytest.raises(UnauthenticatedError) as refusal:
        await identifier.authenticate(exchange)
    return Cause(refusal.value.cause)


async def test_the_local_agent_is_the_configured_identity(keeper):
    subject = await _identifier(keeper, pod_uid="7f3c").authenticate(an_exchange())
    assert (subject.id, subject.type, subject.trust_domain) == (AGENT, "agent", "acme.test")
    assert (subject.credential, subject.instance) == (Credential.ATTESTED_LOCAL, "pod:7f3c")
    assert subject.expires_unix_s is None


def test_without_a_pod_each_start_is_an_instance_of_its_own():
    first, second = own_instance(None), own_instance(None)
    assert first.startswith("start:")
    assert first != second


@pytest.mark.parametrize("uid", ["-7", "a b", "7f3c\n", "x" * 121, "é"])
def test_a_pods_uid_that_could_not_be_sent_is_refused_at_the_start(uid):
    with pytest.raises(ConfigError, match="OUTRIDER_POD_UID"):
        own_instance(uid)


UNIX = Listener(unix="/run/x.sock", uids=(1000,))
REFUSED = [
    pytest.param({}, {"peer": a_peer(loopback=False)}, Cause.NO_IDENTITY, id="not-loopback"),
    pytest.param({"attested_local": False}, {}, Cause.NO_IDENTITY, id="attestation-off"),
    pytest.param({"spiffe_id": None, "audience": "us"}, {}, Cause.NO_IDENTITY, id="no-own-id"),
    pytest.param({}, {"listener": "control"}, Cause.NO_IDENTITY, id="another-listener"),
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
async def test_who_is_not_proven_is_refused(keeper, settings, exchange, cause):
    assert await _cause(_identifier(keeper, **settings), an_exchange(**exchange)) is cause


@pytest.mark.parametrize("uids", [(1000, 1001), (1001,)])
async def test_a_unix_peer_is_known_by_its_uid(keeper, uids):
    identifier = _identifier(keeper, listener=Listener(uids=uids))
    peer = a_peer(transport="unix", loopback=False, uid=1001)
    assert (await identifier.authenticate(an_exchange(peer=peer))).id == AGENT


async def test_without_a_list_only_our_own_uid_is_accepted(keeper):
    identifier = _identifier(keeper, listener=Listener())
    own = a_peer(transport="unix", loopback=False, uid=os.getuid())
    assert (await identifier.authenticate(an_exchange(peer=own))).id == AGENT
    other = a_peer(transport="unix", loopback=False, uid=os.getuid() + 1)
    assert await _cause(identifier, an_exchange(peer=other)) is Cause.UID_NOT_ALLOWED


async def test_identity_headers_prove_nothing(keeper):
    headers = (("outrider-subject", AGENT), ("authorization", "Bearer " + mint(KEY)))
    exchange = an_exchange(head=a_head(headers=headers), peer=a_peer(loopback=False))
    assert await _cause(_identifier(keeper), exchange) is Cause.NO_IDENTITY


async def test_a_token_is_the_subject_where_the_connection_is_silent(keeper):
    identifier = _identifier(keeper, attested_local=False)
    subject = await identifier.authenticate(_with_token(mint(KEY, claims(sub=OTHER))))
    assert (subject.id, subject.credential) == (OTHER, Credential.JWT_SVID)
    assert (subject.instance, subject.expires_unix_s) == (None, NOW_UNIX_S + 300)


async def test_our_own_token_carries_our_instance(keeper):
    subject = await _identifier(keeper, pod_uid="7").authenticate(_with_token(mint(KEY)))
    assert (subject.credential, subject.instance) == (Credential.JWT_SVID, "pod:7")


@pytest.mark.parametrize("scheme", ["bearer ", "BEARER  "])
async def test_the_scheme_is_read_in_any_case(keeper, scheme):
    exchange = _with_token(mint(KEY), scheme=scheme)
    assert (await _identifier(keeper).authenticate(exchange)).credential is Credential.JWT_SVID


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
async def test_a_token_that_does_not_count_refuses(keeper, settings, tokens, cause):
    assert await _cause(_identifier(keeper, **settings), _with_token(*tokens)) is cause


async def test_a_token_from_afar_does_not_count(keeper):
    exchange = _with_token(mint(KEY), peer=a_peer(loopback=False))
    assert await _cause(_identifier(keeper), exchange) is Cause.BEARER_NOT_ALLOWED


async def test_another_scheme_is_refused_not_ignored(keeper):
    exchange = _with_token("dXNlcjpwdw==", scheme="Basic ")
    assert await _cause(_identifier(keeper), exchange) is Cause.MALFORMED_TOKEN


async def test_a_known_token_ends_with_its_expiry(keeper):
    clock = FixedClock()
    identifier = _identifier(keeper, clock)
    exchange = _with_token(mint(KEY))
    assert await identifier.authenticate(exchange) == await identifier.authenticate(exchange)
    clock.pass_s(306)
    assert await _cause(identifier, exchange) is Cause.EXPIRED


@pytest.mark.case("P11")
async def test_a_known_token_does_not_outlive_a_change_of_the_bundles(keeper):
    identifier = _identifier(keeper)
    exchange = _with_token(mint(KEY))
    await identifier.authenticate(exchange)
    keeper.take_listed(_bundles(spiffe_sequence=2))
    assert await _cause(identifier, exchange) is Cause.UNKNOWN_KEY


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"spiffe_id": "nonsense"}, id="not-a-spiffe-id"),
        pytest.param({"spiffe_id": "spiffe://acme.test"}, id="a-trust-domain"),
        pytest.param({"trust_domains": ("Acme",)}, id="bad-trust-domain"),
        pytest.param({"spiffe_id": None}, id="bearer-without-audience"),
    ],
)
def test_an_identity_that_cannot_be_used_is_refused_at_the_start(keeper, settings):
    with pytest.raises(ConfigError, match=r"identity\."):
        _identifier(keeper, **settings)


# --- over mutual TLS ------------------------------------------------------------------------

PLANNER = "spiffe://acme.test/ns/desk/sa/planner"
ANCHORS = {"acme.test": frozenset({"ca" * 32}), "beta.test": frozenset({"be" * 32})}


@pytest.fixture
def trusting(keeper):
    hold(keeper, svid=an_own_svid(), anchors=ANCHORS)
    return keeper


def _ingress(*tokens, tls=None, headers=(), **changes):
    """A request on the ingress listener, from a SPIFFE peer unless said otherwise."""
    bearers = tuple(("authorization", "Bearer " + token) for token in tokens)
    peer = a_peer(loopback=False, tls=tls or a_tls_peer(PLANNER))
    fields = {"peer": peer, "head": a_head(headers=bearers + tuple(headers))} | changes
    return an_exchange(direction=Direction.INGRESS, listener="ingress", **fields)


SOURCED = {"source": "workload_api", "spiffe_id": None}


@pytest.mark.control("ID-01")
async def test_a_spiffe_peer_is_who_its_certificate_says(trusting):
    subject = await _identifier(trusting).authenticate(_ingress())
    assert subject == Subject(
        id=PLANNER,
        type="agent",
        trust_domain="acme.test",
        credential=Credential.X509_SVID,
        expires_unix_s=4_000_000_000.0,
        instance=None,
    )


async def test_a_federated_peer_is_of_its_own_domain(trusting):
    tls = a_tls_peer("spiffe://beta.test/x", anchor_sha256="be" * 32)
    assert (await _identifier(trusting).authenticate(_ingress(tls=tls))).trust_domain == "beta.test"


@pytest.mark.control("ID-01")
@pytest.mark.parametrize(
    ("tls", "cause", "counted"),
    [
        pytest.param(
            {"expires_unix_s": NOW_UNIX_S}, Cause.PEER_EXPIRED, "expired", id="just-expired"
        ),
        pytest.param(
            {"anchor_sha256": "be" * 32}, Cause.PEER_WITHDRAWN, "withdrawn", id="others-authority"
        ),
        pytest.param(
            {"trust_domain": "gone.test"}, Cause.PEER_WITHDRAWN, "withdrawn", id="no-bundle"
        ),
    ],
)
async def test_a_peer_that_no_longer_holds_is_refused_and_its_connection_ends(
    trusting, tls, cause, counted
):
    events = RecordingIdentityEvents()
    exchange = _ingress(tls=a_tls_peer(PLANNER, **tls))
    with pytest.raises(UnauthenticatedError) as refusal:
        await _identifier(trusting, events=events).authenticate(exchange)
    assert (refusal.value.cause, refusal.value.close) == (cause.value, True)
    assert events.revalidations == {counted: 1}


@pytest.mark.case("P11")
async def test_a_withdrawn_authority_ends_a_live_connection_at_its_next_request(trusting):
    identifier, exchange = _identifier(trusting), _ingress()
    assert (await identifier.authenticate(exchange)).id == PLANNER
    hold(trusting, svid=an_own_svid(), anchors={"beta.test": ANCHORS["beta.test"]})
    assert await _cause(identifier, exchange) is Cause.PEER_WITHDRAWN


@pytest.mark.case("P11")
async def test_an_expired_certificate_ends_a_live_connection_at_its_next_request(trusting):
    clock = FixedClock()
    identifier = _identifier(trusting, clock)
    exchange = _ingress(tls=a_tls_peer(PLANNER, expires_unix_s=NOW_UNIX_S + 10))
    assert (await identifier.authenticate(exchange)).expires_unix_s == NOW_UNIX_S + 10
    clock.pass_s(10)
    assert await _cause(identifier, exchange) is Cause.PEER_EXPIRED


@pytest.mark.control("ID-01")
@pytest.mark.parametrize(
    "svid",
    [
        pytest.param(None, id="none"),
        pytest.param(an_own_svid(expires_unix_s=NOW_UNIX_S), id="just-expired"),
    ],
)
async def test_without_an_svid_of_our_own_nobody_calls_us(trusting, svid):
    identifier, exchange = _identifier(trusting), _ingress()
    assert (await identifier.authenticate(exchange)).id == PLANNER
    hold(trusting, svid=svid, anchors=ANCHORS)
    with pytest.raises(UnauthenticatedError) as refusal:
        await identifier.authenticate(exchange)
    assert (refusal.value.cause, refusal.value.close) == (Cause.NO_SVID.value, True)


@pytest.mark.control("ID-01")
async def test_no_certificate_no_caller(trusting):
    nobody = a_peer(loopback=False)
    headers = (("x-spiffe-id", PLANNER), ("outrider-subject", PLANNER))
    exchange = _ingress(peer=nobody, headers=headers)
    assert await _cause(_identifier(trusting), exchange) is Cause.NO_IDENTITY


@pytest.mark.control("ID-01")
async def test_identity_headers_beside_a_certificate_change_nothing(trusting):
    headers = (
        ("x-spiffe-id", AGENT),
        ("outrider-subject", AGENT),
        ("x-forwarded-client-cert", "x"),
    )
    assert (await _identifier(trusting).authenticate(_ingress(headers=headers))).id == PLANNER


async def test_who_is_beside_us_is_not_our_agent_on_ingress(trusting):
    assert await _cause(_identifier(trusting), _ingress(peer=a_peer())) is Cause.NO_IDENTITY


async def test_a_jwt_svid_of_the_peer_itself_counts_over_its_certificate(trusting):
    events = RecordingIdentityEvents()
    token = mint(KEY, claims(sub=PLANNER))
    listener = Listener(bearer=False)
    identifier = _identifier(trusting, listener=listener, events=events)
    subject = await identifier.authenticate(_ingress(token))
    assert (subject.id, subject.credential) == (PLANNER, Credential.JWT_SVID)
    assert subject.expires_unix_s == NOW_UNIX_S + 300
    assert events.tokens == {("jwt_svid", "ok"): 1}


async def test_the_certificate_bounds_a_longer_token(trusting):
    tls = a_tls_peer(PLANNER, expires_unix_s=NOW_UNIX_S + 9)
    exchange = _ingress(mint(KEY, claims(sub=PLANNER)), tls=tls)
    assert (await _identifier(trusting).authenticate(exchange)).expires_unix_s == NOW_UNIX_S + 9


@pytest.mark.parametrize(
    ("tokens", "cause"),
    [
        pytest.param([mint(KEY, claims(sub=OTHER))], Cause.DISAGREEING, id="another-caller"),
        pytest.param([mint(KEY)], Cause.DISAGREEING, id="ourselves"),
        pytest.param([mint(a_key(), claims(sub=PLANNER))], Cause.BAD_SIGNATURE, id="forged"),
        pytest.param(["nonsense"], Cause.MALFORMED_TOKEN, id="nonsense"),
        pytest.param([mint(KEY), mint(KEY)], Cause.MALFORMED_TOKEN, id="two"),
    ],
)
async def test_a_bad_token_is_not_made_good_by_a_certificate(trusting, tokens, cause):
    assert await _cause(_identifier(trusting), _ingress(*tokens)) is cause


@pytest.mark.parametrize("direction", list(Direction))
async def test_each_direction_has_one_field_for_the_token(keeper, direction):
    """On egress `Authorization` is the agent's own; on ingress the other one is nobody's."""
    wrong = "authorization" if direction is Direction.EGRESS else "proxy-authorization"
    head = a_head(headers=((wrong, "Bearer " + mint(KEY)),))
    exchange = an_exchange(direction=direction, head=head)
    identifier = _identifier(keeper, attested_local=False)
    assert await _cause(identifier, exchange) is Cause.NO_IDENTITY


async def test_on_ingress_a_bearer_alone_counts_where_the_listener_says_so(trusting):
    token = mint(KEY, claims(sub=OTHER))
    identifier = _identifier(trusting)
    assert (await identifier.authenticate(_ingress(token, peer=a_peer()))).id == OTHER
    strict = _identifier(trusting, listener=Listener())
    assert await _cause(strict, _ingress(token, peer=a_peer())) is Cause.BEARER_NOT_ALLOWED
    afar = _ingress(token, peer=a_peer(loopback=False))
    assert await _cause(identifier, afar) is Cause.BEARER_NOT_ALLOWED


# --- instances ------------------------------------------------------------------------------


def _named(name, **changes):
    return _ingress(headers=(("outrider-instance", name),), **changes)


@pytest.mark.control("ID-02")
async def test_two_instances_of_one_identity_are_told_apart(trusting):
    identifier = _identifier(trusting)
    one = await identifier.authenticate(_named("pod:one", tls=a_tls_peer(leaf_sha256="01" * 32)))
    two = await identifier.authenticate(_named("start:two", tls=a_tls_peer(leaf_sha256="02" * 32)))
    assert (one.id, one.instance) == (PLANNER, "pod:one")
    assert (two.id, two.instance) == (PLANNER, "start:two")


@pytest.mark.control("ID-02")
async def test_one_connection_is_one_instance(trusting):
    identifier, peer = _identifier(trusting), a_peer(loopback=False, tls=a_tls_peer())
    await identifier.authenticate(_named("pod:one", peer=peer))
    again = await identifier.authenticate(_ingress(peer=peer))
    assert again.instance == "pod:one"
    assert await identifier.authenticate(_named("pod:one", peer=peer)) is again
    assert await _cause(identifier, _named("pod:two", peer=peer)) is Cause.DISAGREEING
    # Another connection under the same leaf may be another process that shares the SVID.
    other = a_peer(loopback=False, tls=peer.tls)
    fresh = await identifier.authenticate(_named("pod:two", peer=other))
    assert fresh.instance == "pod:two"


@pytest.mark.control("ID-02")
@pytest.mark.parametrize(
    "name",
    [
        *("", "one", "host:one", "pod:", "pod:-x", "pod:a b", "pod:a,b", "pod:é"),
        *("pod:" + "x" * 121, "POD:a", " pod:a", "pod:a\n", "start:a:b"),
    ],
)
async def test_an_instance_has_a_strict_form(trusting, name):
    assert await _cause(_identifier(trusting), _named(name)) is Cause.INSTANCE


async def test_a_connection_may_name_its_instance_late(trusting):
    identifier, peer = _identifier(trusting), a_peer(loopback=False, tls=a_tls_peer())
    assert (await identifier.authenticate(_ingress(peer=peer))).instance is None
    assert (await identifier.authenticate(_named("pod:one", peer=peer))).instance == "pod:one"
    assert (await identifier.authenticate(_ingress(peer=peer))).instance == "pod:one"
    assert await _cause(identifier, _named("nonsense", peer=peer)) is Cause.INSTANCE


async def test_two_names_are_none(trusting):
    headers = (("outrider-instance", "pod:a"), ("outrider-instance", "pod:a"))
    assert await _cause(_identifier(trusting), _ingress(headers=headers)) is Cause.INSTANCE


@pytest.mark.control("ID-02")
@pytest.mark.parametrize(
    "exchange",
    [
        pytest.param(_named("pod:a", peer=a_peer()), id="ingress-without-tls"),
        pytest.param(
            an_exchange(head=a_head(headers=(("outrider-instance", "pod:a"),))), id="egress"
        ),
    ],
)
async def test_only_a_spiffe_peer_names_its_instance(trusting, exchange):
    assert await _cause(_identifier(trusting), exchange) is Cause.INSTANCE


async def test_what_a_connection_named_is_never_forgotten_for_others(trusting):
    identifier, tls = _identifier(trusting), a_tls_peer()
    mine, *others = [a_peer(loopback=False, tls=tls) for _ in range(4098)]
    assert (await identifier.authenticate(_named("pod:one", peer=mine))).instance == "pod:one"
    for peer in others:
        assert (await identifier.authenticate(_ingress(peer=peer))).instance is None
    assert await _cause(identifier, _named("pod:two", peer=mine)) is Cause.DISAGREEING


# --- attested local -------------------------------------------------------------------------


async def test_the_local_agent_is_taken_under_our_own_svid(trusting):
    identifier = _identifier(trusting, **SOURCED)
    subject = await identifier.authenticate(an_exchange())
    assert (subject.id, subject.expires_unix_s) == (AGENT, NOW_UNIX_S + 3600)
    assert subject.instance == "pod:7f3c"
    assert await identifier.authenticate(an_exchange()) is subject


async def test_a_rotated_svid_lends_its_own_life(trusting):
    identifier = _identifier(trusting, **SOURCED)
    await identifier.authenticate(an_exchange())
    hold(trusting, svid=an_own_svid(expires_unix_s=NOW_UNIX_S + 7200), anchors=ANCHORS)
    assert (await identifier.authenticate(an_exchange())).expires_unix_s == NOW_UNIX_S + 7200


@pytest.mark.control("ID-01")
async def test_without_a_valid_svid_nobody_is_taken_under_it():
    clock = FixedClock()
    keeper = a_keeper(clock)
    identifier = _identifier(keeper, clock, listener=Listener(), **SOURCED)
    assert await _cause(identifier, an_exchange()) is Cause.NO_SVID
    hold(keeper, svid=an_own_svid(expires_unix_s=NOW_UNIX_S + 10))
    assert (await identifier.authenticate(an_exchange())).id == AGENT
    clock.pass_s(10)
    assert await _cause(identifier, an_exchange()) is Cause.NO_SVID
    hold(keeper, svid=an_own_svid(expires_unix_s=NOW_UNIX_S + 99))
    assert (await identifier.authenticate(an_exchange())).id == AGENT
    keeper.redact()
    assert await _cause(identifier, an_exchange()) is Cause.NO_SVID


async def test_the_id_in_settings_is_no_substitute_for_an_svid(keeper):
    identifier = _identifier(keeper, source="workload_api", spiffe_id=AGENT)
    assert await _cause(identifier, an_exchange()) is Cause.NO_SVID


async def test_tokens_are_for_the_id_of_our_svid(trusting):
    identifier = _identifier(trusting, **SOURCED)
    subject = await identifier.authenticate(_with_token(mint(KEY)))
    assert (subject.credential, subject.instance) == (Credential.JWT_SVID, "pod:7f3c")


async def test_without_an_id_of_ours_no_token_is_for_us(keeper):
    identifier = _identifier(keeper, attested_local=False, **SOURCED)
    assert await _cause(identifier, _with_token(mint(KEY))) is Cause.BEARER_NOT_ALLOWED


# --- counting, and tokens of issuers --------------------------------------------------------


@pytest.mark.parametrize(
    ("exchange", "counted"),
    [
        pytest.param(_with_token(mint(KEY)), ("jwt_svid", "ok"), id="taken"),
        pytest.param(
            _with_token(mint(KEY, claims(sub=OTHER))), ("jwt_svid", "disagreeing"), id="disagreeing"
        ),
        pytest.param(_with_token("x.y.z"), ("jwt_svid", "malformed_token"), id="malformed"),
        pytest.param(
            _with_token(mint(KEY), peer=a_peer(loopback=False)),
            ("jwt_svid", "bearer_not_allowed"),
            id="not-allowed",
        ),
        pytest.param(
            _with_token(mint(KEY, claims(iss=ISSUER, sub="refused")), peer=a_peer(loopback=False)),
            ("oidc", "bearer_not_allowed"),
            id="oidc-not-allowed",
        ),
    ],
)
async def test_a_token_is_counted_once(keeper, exchange, counted):
    events = RecordingIdentityEvents()
    identifier = _identifier(keeper, events=events, issuers={ISSUER: FixedIssuer()})
    with suppress(UnauthenticatedError):
        await identifier.authenticate(exchange)
    assert events.tokens == {counted: 1}


def _oidc(**changes):
    return mint(KEY, claims(iss=ISSUER, **changes))


async def test_an_issuers_token_names_the_caller_where_it_stands_alone(keeper):
    issuer = FixedIssuer(instance="pod:77")
    identifier = _identifier(keeper, attested_local=False, issuers={ISSUER: issuer})
    subject = await identifier.authenticate(_with_token(_oidc()))
    assert (subject.id, subject.credential) == ("oidc:alice@corp", Credential.OIDC)
    assert (subject.trust_domain, subject.instance) == (None, "pod:77")


async def test_an_issuers_token_disagrees_with_the_attested_agent(keeper):
    identifier = _identifier(keeper, issuers={ISSUER: FixedIssuer()})
    assert await _cause(identifier, _with_token(_oidc())) is Cause.DISAGREEING


async def test_a_bound_token_counts_on_no_connection_without_a_certificate(keeper):
    issuers = {ISSUER: FixedIssuer(leaf="1f" * 32)}
    identifier = _identifier(keeper, attested_local=False, issuers=issuers)
    assert await _cause(identifier, _with_token(_oidc())) is Cause.CONFIRMATION


async def test_over_tls_an_issuers_token_counts_bound_to_the_peers_leaf(trusting):
    issuers = {ISSUER: FixedIssuer(leaf="1f" * 32)}
    identifier = _identifier(trusting, issuers=issuers)
    subject = await identifier.authenticate(
        _ingress(_oidc(), headers=(("outrider-instance", "pod:a"),))
    )
    assert (subject.id, subject.instance) == ("oidc:alice@corp", "pod:a")
    assert subject.expires_unix_s == NOW_UNIX_S + 300


@pytest.mark.parametrize(
    "issuer",
    [
        pytest.param({"leaf": None}, id="not-bound"),
        pytest.param({"leaf": "1e" * 32}, id="another-leaf"),
        pytest.param({"leaf": "1f" * 32, "instance": "pod:b"}, id="another-instance"),
    ],
)
async def test_over_tls_any_other_token_of_an_issuer_disagrees(trusting, issuer):
    identifier = _identifier(trusting, issuers={ISSUER: FixedIssuer(**issuer)})
    exchange = _ingress(_oidc(), headers=(("outrider-instance", "pod:a"),))
    assert await _cause(identifier, exchange) is Cause.DISAGREEING


async def test_an_iss_nobody_configured_makes_no_issuer(keeper):
    identifier = _identifier(keeper, issuers={ISSUER: FixedIssuer()})
    token = mint(KEY, claims(iss="https://elsewhere.test"))
    assert (await identifier.authenticate(_with_token(token))).credential is Credential.JWT_SVID


async def test_authz_has_no_bearer(keeper):
    exchange = an_exchange(direction=Direction.AUTHZ, head=_with_token(mint(KEY)).head)
    assert await _cause(_identifier(keeper), exchange) is Cause.NO_IDENTITY
