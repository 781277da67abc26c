"""The contexts and the judgement in the handshake, both ends in memory."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from cryptography import x509
from spiffe import TrustDomain, X509Bundle

from outrider.core.clock import SystemClock
from outrider.core.exchange import TlsPeer
from outrider.identity import _compat, judge, tls
from outrider.identity.anchors import fingerprint
from outrider.identity.keeper import IdentityKeeper
from outrider.identity.reasons import HandshakeReason as Reason, Role
from outrider.identity.snapshot import SourceState
from outrider.identity.tls import (
    Expected,
    HandshakeRefusedError,
    SpiffeSSLObject,
    client_context,
    server_context,
)
from tests.support.builders import FixedClock
from tests.support.identity import RecordingIdentityEvents
from tests.support.spiffe_ca import Ca, Svid, Trust, a_ca, a_leaf, bundle_of, unloadable_ca
from tests.support.spiffe_defects import DEFECTS, Defect
from tests.support.spiffe_wire import Ours, ours, shaken, their_client, their_server
from tests.support.tls import listen_for_names

EVERYONE = Expected(["spiffe://a.test/*"])


# --- contexts ---


def _inner(context: ssl.SSLContext, *, server: bool) -> ssl.SSLContext:
    made = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=server)
    return made.context


@pytest.mark.parametrize("role", [pytest.param(role, id=role.value) for role in Role])
def test_a_connection_s_context_is_strict(role: Role):
    us = ours()
    server = role is Role.SERVER
    inner = _inner(us.server() if server else us.client(), server=server)
    assert inner.verify_mode is ssl.CERT_REQUIRED
    assert inner.minimum_version is ssl.TLSVersion.TLSv1_3
    assert inner.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN
    assert inner.check_hostname is False
    assert not inner.post_handshake_auth
    assert inner.keylog_filename is None
    assert inner.cert_store_stats()["x509"] == 2
    if server:
        assert inner.num_tickets == 0


def test_a_context_serves_one_generation_and_the_next_gets_another():
    us = ours()
    facade = us.server()
    first = _inner(facade, server=True)
    assert _inner(facade, server=True) is first
    Trust(own=us.a.own("/sidecar"), bundles=us.trust.bundles).give(us.keeper)
    second = _inner(facade, server=True)
    assert second is not first


def test_news_of_tokens_alone_make_no_new_context():
    us = ours()
    facade = us.server()
    first = _inner(facade, server=True)
    us.keeper.take_jwt({})
    assert _inner(facade, server=True) is first


def test_what_is_set_on_the_facade_reaches_no_connection():
    us = ours()
    facade = us.server()
    facade.set_alpn_protocols(["h2"])
    facade.verify_mode = ssl.CERT_NONE
    facade.minimum_version = ssl.TLSVersion.TLSv1_2
    facade.num_tickets = 2
    inner = _inner(facade, server=True)
    assert inner.verify_mode is ssl.CERT_REQUIRED
    assert inner.minimum_version is ssl.TLSVersion.TLSv1_3
    client, server = shaken(us.client(alpn=("h2", "http/1.1")), facade)
    assert (client.selected_alpn_protocol(), server.selected_alpn_protocol()) == ("http/1.1",) * 2


def test_a_bridge_s_connections_speak_what_it_asked_for():
    us = ours()
    client, _ = shaken(us.client(alpn=("h2",)), their_server(us.a.svid(), alpn=("h2",)))
    assert client.selected_alpn_protocol() == "h2"


def test_a_blocking_socket_is_never_wrapped():
    with pytest.raises(ssl.SSLError, match="event loops only"):
        ours().server().wrap_socket(None)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        pytest.param("service.a.test", "service.a.test", id="a-name"),
        pytest.param("127.0.0.1", None, id="an-address"),
        pytest.param("", None, id="nothing"),
        pytest.param(None, None, id="none"),
    ],
)
def test_a_server_is_asked_for_by_the_name_that_was_given(name: str | None, asked: str | None):
    us = ours()
    server = their_server(us.a.svid())
    names = listen_for_names(server)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    end = us.client().wrap_bio(to_client, to_server, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        end.do_handshake()
    with pytest.raises(ssl.SSLWantReadError):
        server.wrap_bio(to_server, to_client, server_side=True).do_handshake()
    assert names == [asked]


@pytest.mark.parametrize("name", [".a.test", "a" * 64 + ".test", "a..test"])
def test_a_name_that_cannot_be_asked_for_is_refused(name: str):
    us = ours()
    end = us.client().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name)
    with pytest.raises(HandshakeRefusedError) as refused:
        end.do_handshake()
    assert refused.value.reason == Reason.INTERNAL


def test_a_session_is_never_taken_up():
    us = ours()
    facade = us.client()
    client, _ = shaken(facade, their_server(us.a.svid(), tickets=2))
    with suppress(ssl.SSLWantReadError):
        client.read(1)
    assert client.session is not None
    assert client.session.has_ticket
    again = facade.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), session=client.session)
    assert again.session is None


def test_an_authority_dropped_for_its_looks_is_not_loaded():
    us = ours()
    like = a_ca("b.test", common="a.test root", subject_key_id=False)
    Trust(own=us.trust.own, bundles=[bundle_of(us.a), bundle_of(us.b, like)]).give(us.keeper)
    assert us.events.collisions == 1
    assert _inner(us.server(), server=True).cert_store_stats()["x509"] == 2


# --- judging ---


def test_both_ends_have_their_peer():
    us = ours()
    client, server = shaken(us.client(), us.server())
    for end in (client, server):
        assert isinstance(end, SpiffeSSLObject)
        assert isinstance(end.spiffe_peer, TlsPeer)
        assert end.spiffe_peer.spiffe_id == "spiffe://a.test/sidecar"
        assert end.spiffe_peer.generation == us.keeper.snapshot().generation
        end.do_handshake()
    assert us.handshakes == [(Role.CLIENT, Reason.OK), (Role.SERVER, Reason.OK)]


def test_before_the_handshake_there_is_no_peer():
    made = ours().server().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    assert isinstance(made, SpiffeSSLObject)
    assert made.spiffe_peer is None


@pytest.mark.parametrize("defect", [pytest.param(one, id=one.id) for one in DEFECTS])
def test_a_defect_is_refused_with_a_closed_reason_and_a_sentence_of_ours(defect: Defect):
    us = ours()
    with pytest.raises(ssl.SSLCertVerificationError) as refused:
        shaken(us.client(), their_server(defect.make(us.a, us.b)))
    error = refused.value
    assert isinstance(error, HandshakeRefusedError)
    assert error.reason == defect.why(Role.CLIENT)
    assert "a.test" not in f"{error} {error.args}"
    assert error.__cause__ is None


@pytest.mark.parametrize("role", [pytest.param(role, id=role.value) for role in Role])
def test_without_an_svid_the_handshake_is_refused_before_a_byte(role: Role):
    events = RecordingIdentityEvents()
    keeper = IdentityKeeper(clock=SystemClock(), events=events)
    made: Any = (
        server_context(keeper, events, SystemClock())
        if role is Role.SERVER
        else client_context(keeper, events, SystemClock(), expect=EVERYONE)
    )
    out = ssl.MemoryBIO()
    end = made.wrap_bio(ssl.MemoryBIO(), out, server_side=role is Role.SERVER)
    with pytest.raises(HandshakeRefusedError) as refused:
        end.do_handshake()
    assert (refused.value.reason, out.pending) == (Reason.NO_SVID, 0)
    assert events.handshakes == [(role, Reason.NO_SVID)]


def test_an_svid_that_was_taken_away_is_not_used_again():
    us = ours()
    facade = us.server()
    shaken(us.client(), facade)
    us.keeper.redact()
    with pytest.raises(HandshakeRefusedError) as refused:
        shaken(their_client(us.a.svid()), facade)
    assert refused.value.reason == Reason.NO_SVID


def test_where_no_key_can_be_held_every_handshake_is_refused(monkeypatch: pytest.MonkeyPatch):
    us = ours()
    monkeypatch.setattr(_compat, "HAS_MEMFD", False)
    with pytest.raises(HandshakeRefusedError) as refused:
        shaken(their_client(us.a.svid()), us.server())
    assert refused.value.reason == Reason.INTERNAL
    on_disk = server_context(us.keeper, us.events, SystemClock(), keys_on_disk=True)
    assert shaken(their_client(us.a.svid()), on_disk)[1].spiffe_peer is not None


async def _prepared(facade: ssl.SSLContext) -> None:
    """Wait, in turns of the loop, until what is made beside it is there."""
    async with asyncio.timeout(5):
        while facade._coming is not None:  # noqa: ASYNC110 - nothing tells of its end
            await asyncio.sleep(0)


async def test_M6_a_large_context_is_made_beside_the_loop_and_the_one_before_stands_in(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(tls, "_INLINE_AUTHORITIES", 1)
    us = ours()
    facade = us.server()
    first = _inner(facade, server=True)
    new = a_ca("a.test", common="another")
    Trust(own=us.trust.own, bundles=[bundle_of(us.a, new)]).give(us.keeper)
    assert _inner(facade, server=True) is first
    assert shaken(their_client(us.a.svid()), facade)[1].spiffe_peer is not None
    with pytest.raises(HandshakeRefusedError) as refused:
        shaken(their_client(us.b.svid()), facade)
    assert refused.value.reason == Reason.UNKNOWN_AUTHORITY
    await _prepared(facade)
    second = _inner(facade, server=True)
    assert (second is not first, second.generation) == (True, us.keeper.snapshot().generation)
    assert shaken(their_client(new.svid()), facade)[1].spiffe_peer is not None


@pytest.mark.parametrize("path", ["/other", "/sidecar"])
async def test_M6_no_context_of_another_identity_stands_in(
    monkeypatch: pytest.MonkeyPatch, path: str
):
    monkeypatch.setattr(tls, "_INLINE_AUTHORITIES", 1)
    us = ours()
    facade = us.server()
    first = _inner(facade, server=True)
    Trust(own=us.a.own(path), bundles=us.trust.bundles).give(us.keeper)
    assert (_inner(facade, server=True) is first) is (path == "/sidecar")
    await _prepared(facade)
    assert _inner(facade, server=True) is not first


async def test_M6_an_svid_taken_away_meanwhile_stays_away(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tls, "_INLINE_AUTHORITIES", 1)
    us = ours()
    facade = us.server()
    _inner(facade, server=True)
    Trust(own=us.a.own("/sidecar"), bundles=us.trust.bundles).give(us.keeper)
    _inner(facade, server=True)
    us.keeper.redact()
    assert _inner(facade, server=True).refuses is not None
    await _prepared(facade)
    assert facade._made is None
    assert _inner(facade, server=True).refuses is not None


async def test_M6_what_fails_beside_the_loop_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tls, "_INLINE_AUTHORITIES", 1)
    us = ours()
    facade = us.server()
    _inner(facade, server=True)
    monkeypatch.setattr(_compat, "HAS_MEMFD", False)
    Trust(own=us.a.own("/sidecar"), bundles=us.trust.bundles).give(us.keeper)
    _inner(facade, server=True)
    await _prepared(facade)
    assert _inner(facade, server=True).refuses is not None
    assert us.keeper.unusable_why is not None


ODD = x509.load_der_x509_certificate(unloadable_ca())


def test_H1_a_domain_whose_authorities_openssl_cannot_load_is_left_out_alone(
    caplog: pytest.LogCaptureFixture,
):
    us = ours()
    odd = X509Bundle(TrustDomain("c.test"), {a_ca("c.test").certificate, ODD})
    Trust(own=us.trust.own, bundles=[*us.trust.bundles, odd]).give(us.keeper)
    facade = us.server()
    for domain in (us.a, us.b, us.a):
        assert shaken(their_client(domain.svid()), facade)[1].spiffe_peer is not None
    assert _inner(facade, server=True).cert_store_stats()["x509"] == 2
    assert us.keeper.unusable_why is None
    assert [one.domains for one in caplog.records if one.event == "tls_context"] == [1]


def test_H1_where_our_own_authorities_cannot_be_loaded_that_is_told_and_tried_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    us = ours()
    odd = X509Bundle(TrustDomain("a.test"), {us.a.certificate, ODD})
    Trust(own=us.trust.own, bundles=[odd, bundle_of(us.b)]).give(us.keeper)
    facade = us.server()
    us.keeper.connected(on=True)
    assert us.keeper.state() is SourceState.SERVING
    tries = []
    monkeypatch.setattr(tls, "pem_of", lambda *_: tries.append(1))
    for _ in range(3):
        with pytest.raises(HandshakeRefusedError) as refused:
            shaken(their_client(us.a.svid()), facade)
        assert refused.value.reason == Reason.INTERNAL
    assert us.keeper.state() is SourceState.FAILED
    assert len([one for one in caplog.records if one.levelname == "ERROR"]) == 1
    monkeypatch.undo()
    us.trust.give(us.keeper)
    assert us.keeper.state() is SourceState.SERVING
    assert shaken(their_client(us.a.svid()), facade)[1].spiffe_peer is not None


def test_H1_what_the_machine_lacked_is_tried_again_after_a_while(monkeypatch: pytest.MonkeyPatch):
    us, clock = ours(), FixedClock(now_unix_s=SystemClock().unix_s())
    facade = server_context(us.keeper, us.events, clock)
    monkeypatch.setattr(_compat, "HAS_MEMFD", False)
    first = _inner(facade, server=True)
    assert first.refuses is not None
    assert us.keeper.unusable_why is not None
    monkeypatch.undo()
    assert _inner(facade, server=True) is first
    clock.pass_s(6)
    assert _inner(facade, server=True).refuses is None
    assert us.keeper.unusable_why is None


UNKNOWN = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0"), True)
ONLY_A = x509.NameConstraints(
    permitted_subtrees=[x509.UniformResourceIdentifier("a.test")], excluded_subtrees=None
)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(
            lambda a: a.below(path_length=0).below(common="too deep").svid(),
            Reason.PATH,
            id="path-length",
        ),
        pytest.param(lambda a: a.svid(extra=[UNKNOWN]), Reason.PATH, id="unknown-critical"),
        pytest.param(
            lambda a: a.below(extra=[UNKNOWN]).svid(), Reason.PATH, id="unknown-critical-above"
        ),
        pytest.param(lambda a: a.below(ca=False).svid(), Reason.PATH, id="issuer-is-no-ca"),
        pytest.param(lambda a: a.below(days=(-2, -1)).svid(), Reason.EXPIRED, id="issuer-expired"),
        pytest.param(
            lambda a: a_leaf(a.below(extra=[(ONLY_A, True)]), uris=("spiffe://b.test/planner",)),
            Reason.PATH,
            id="outside-name-constraints",
        ),
    ],
)
def test_X13_a_chain_is_verified_as_rfc_5280_has_it(make: Callable[[Ca], Svid], reason: Reason):
    us = ours()
    with pytest.raises(HandshakeRefusedError) as refused:
        shaken(their_client(make(us.a)), us.server())
    assert refused.value.reason == reason


def test_X13_what_name_constraints_permit_is_taken():
    us = ours()
    within = us.a.below(extra=[(ONLY_A, True)])
    assert shaken(their_client(within.svid()), us.server())[1].spiffe_peer is not None
    assert within.own("/sidecar").spiffe_id.text == "spiffe://a.test/sidecar"


def test_X7_an_intermediate_that_bears_a_workload_s_id_ends_no_chain():
    us = ours()
    between = us.a.below(uris=("spiffe://a.test/ca",))
    with pytest.raises(HandshakeRefusedError) as refused:
        shaken(their_client(between.svid()), us.server())
    assert refused.value.reason == Reason.PATH


def test_a_chain_of_eight_is_taken_and_one_of_ten_is_not():
    us = ours()
    ca = us.a
    for number in range(7):
        ca = ca.below(common=f"link {number}")
    assert shaken(their_client(ca.svid()), us.server())[1].spiffe_peer is not None
    for number in range(7, 9):
        ca = ca.below(common=f"link {number}")
    with pytest.raises(HandshakeRefusedError) as refused:
        shaken(their_client(ca.svid()), us.server())
    assert refused.value.reason == Reason.PATH


def test_X6_a_workload_may_not_issue_for_another():
    us = ours()
    workload = us.a.svid("/issuer")
    issuer = Ca(
        trust_domain="a.test", certificate=workload.certificate, key=workload.key, parent=us.a
    )
    svid = a_leaf(issuer, uris=("spiffe://a.test/x",), authority_key=False)
    with pytest.raises(HandshakeRefusedError) as refused:
        shaken(their_client(svid), us.server())
    assert refused.value.reason == Reason.UNKNOWN_AUTHORITY


UNREADABLE = (x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.32"), b"\0"), False)
"""Certificate policies that are none: OpenSSL does not look, our own reader does."""


def test_a_certificate_that_only_openssl_can_read_is_refused_for_its_place():
    us = ours()
    for svid, reason in (
        (us.a.svid(extra=[UNREADABLE]), Reason.LEAF),
        (us.a.below(extra=[UNREADABLE]).svid(authority_key=False), Reason.PATH),
    ):
        with pytest.raises(HandshakeRefusedError) as refused:
            shaken(their_client(svid), us.server())
        assert refused.value.reason == reason


def test_a_peer_whose_chain_has_ended_by_our_clock_is_refused():
    us, clock = ours(), FixedClock(now_unix_s=SystemClock().unix_s())
    context = server_context(us.keeper, us.events, clock)
    client = their_client(us.b.svid(seconds=(-60, 600)))
    assert shaken(client, context)[1].spiffe_peer is not None
    clock.pass_s(601)
    with pytest.raises(HandshakeRefusedError) as refused:
        shaken(client, context)
    assert refused.value.reason == Reason.EXPIRED


def test_a_chain_that_was_taken_is_read_once_for_one_generation(monkeypatch: pytest.MonkeyPatch):
    read: list[bytes] = []
    check = judge.check_leaf
    monkeypatch.setattr(judge, "check_leaf", lambda der: read.append(der) or check(der))
    us = ours()
    context, client = us.server(), their_client(us.b.svid())
    first, again = (shaken(client, context)[1].spiffe_peer for _ in range(2))
    assert first is again
    assert len(read) == 1
    us.trust.give(us.keeper)  # the same state: no new generation
    shaken(client, context)
    assert len(read) == 1
    Trust(own=us.a.own("/sidecar"), bundles=us.trust.bundles).give(us.keeper)
    later = shaken(client, context)[1].spiffe_peer
    assert later.generation == first.generation + 1
    assert len(read) == 2
    assert us.handshakes == [(Role.SERVER, Reason.OK)] * 4


def test_a_chain_that_was_refused_is_judged_again_each_time():
    us = ours()
    context, client = us.server(), their_client(a_leaf(us.a, uris=["spiffe://a.test/a/"]))
    for _ in range(2):
        with pytest.raises(HandshakeRefusedError):
            shaken(client, context)
    assert us.handshakes == [(Role.SERVER, Reason.SPIFFE_ID)] * 2


def test_what_is_remembered_of_chains_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(judge, "_MOST_TAKEN", 2)
    us = ours()
    context = us.server()
    for number in range(5):
        shaken(their_client(us.b.svid(f"/caller/{number}")), context)
    assert len(_inner(context, server=True).judge.taken) <= 2


@pytest.mark.control("IA-01")
def test_a_client_that_shows_nothing_is_refused():
    us = ours()
    with pytest.raises(HandshakeRefusedError) as refused:
        shaken(their_client(None), us.server())
    assert refused.value.reason == Reason.NO_CERTIFICATE


def test_what_is_no_handshake_is_refused():
    us = ours()
    came = ssl.MemoryBIO()
    came.write(b"GET / HTTP/1.1\r\n\r\n")
    end = us.server().wrap_bio(came, ssl.MemoryBIO(), server_side=True)
    with pytest.raises(HandshakeRefusedError) as refused:
        end.do_handshake()
    assert refused.value.reason == Reason.PROTOCOL


def _long(us: Ours, bytes_each: int) -> Svid:
    """A client of ours that shows more than it need."""
    svid = us.a.svid()
    body = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"x" * bytes_each)
    more = [a_ca("a.test", extra=[(body, False)]).certificate for _ in range(2)]
    return Svid(certificate=svid.certificate, key=svid.key, between=tuple(more))


@pytest.mark.parametrize("piece", [1, 4096, 1 << 20])
def test_M7_a_handshake_is_given_so_many_bytes_and_no_more(piece: int):
    us = ours()
    assert _piecewise(us, _long(us, 12_000), piece).spiffe_peer is not None
    with pytest.raises(HandshakeRefusedError) as refused:
        _piecewise(us, _long(us, 17_000), piece)
    assert refused.value.reason == Reason.PROTOCOL
    assert refused.value.verify_message == "more bytes than a handshake is given"


def test_M7_what_comes_with_the_end_of_a_handshake_is_no_part_of_it():
    us, body = ours(), b"x" * 100_000
    end = _piecewise(us, us.a.svid(), 1 << 20, behind=body)
    read = b""
    while len(read) < len(body):
        read += end.read(1 << 20)
    assert read == body


def _piecewise(us: Ours, svid: Svid, piece: int, *, behind: bytes = b"") -> ssl.SSLObject:
    """Our end of a handshake that comes in pieces, with `behind` at its client's heels."""
    to_client, to_server, wire = ssl.MemoryBIO(), ssl.MemoryBIO(), ssl.MemoryBIO()
    client = their_client(svid).wrap_bio(to_client, wire)
    server = us.server().wrap_bio(to_server, to_client, server_side=True)
    for _ in range(2):
        with suppress(ssl.SSLWantReadError):
            client.do_handshake()
            client.write(behind) if behind else None
        while came := wire.read(piece):
            to_server.write(came)
            with suppress(ssl.SSLWantReadError):
                server.do_handshake()
    return server


def test_a_server_nobody_expects_is_refused():
    us = ours()
    with pytest.raises(HandshakeRefusedError) as refused:
        shaken(us.client("spiffe://a.test/other"), us.server())
    assert refused.value.reason == Reason.NOT_EXPECTED
    assert us.handshakes[0] == (Role.CLIENT, Reason.NOT_EXPECTED)


def test_a_chain_through_another_domain_s_bundle_ends_in_the_peer_s_own():
    us = ours()
    between = us.a.below()
    Trust(own=us.trust.own, bundles=[bundle_of(us.a), bundle_of(us.b, between)]).give(us.keeper)
    peer = shaken(their_client(between.svid()), us.server())[1].spiffe_peer
    assert peer is not None
    assert peer.anchor_sha256 == fingerprint(us.a.certificate)


def test_a_domain_whose_every_authority_was_dropped_has_no_peers():
    us = ours()
    like = a_ca("b.test", common="a.test root", subject_key_id=False)
    Trust(own=us.trust.own, bundles=[bundle_of(us.a), bundle_of(like)]).give(us.keeper)
    assert shaken(their_client(us.a.svid()), us.server())[1].spiffe_peer is not None
    with pytest.raises(HandshakeRefusedError):
        shaken(their_client(like.svid()), us.server())
    with pytest.raises(HandshakeRefusedError) as refused:
        shaken(their_client(a_leaf(us.a, uris=("spiffe://b.test/x",))), us.server())
    assert refused.value.reason == Reason.NO_BUNDLE


class Interrupted(SystemClock):
    def unix_s(self) -> float:
        raise KeyboardInterrupt


def test_an_interruption_is_no_refusal():
    us = ours()
    with pytest.raises(KeyboardInterrupt):
        shaken(their_client(us.a.svid()), server_context(us.keeper, us.events, Interrupted()))
    assert us.handshakes == []


def test_a_handshake_that_verified_nothing_is_refused(monkeypatch: pytest.MonkeyPatch):
    """What a resumed session would look like, were there one."""
    us = ours()
    monkeypatch.setattr(tls, "verified_chain", lambda _: [])
    with pytest.raises(HandshakeRefusedError) as refused:
        shaken(their_client(us.a.svid()), us.server())
    assert refused.value.reason == Reason.NO_CERTIFICATE
