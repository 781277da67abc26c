"""Tokens of OIDC issuers, rule by rule (IDENTITY §6.2)."""

import asyncio
import base64
import hashlib
from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from outrider.config.identity_settings import Identity, OidcIssuer
from outrider.core.errors import ConfigError, UnauthenticatedError
from outrider.core.subject import Subject
from outrider.core.vocabulary import Credential
from outrider.identity.causes import Cause
from outrider.identity.issuer_keys import IssuerKeys
from outrider.identity.jws import read_jws
from outrider.identity.oidc import OidcIssuers, OidcVerifier
from tests.support.builders import NOW_UNIX_S, FixedClock
from tests.support.jwt import a_key, b64, mint
from tests.support.oidc import (
    AUDIENCE,
    ISSUER,
    JWKS,
    FixedDocuments,
    a_pod_token,
    access_claims,
    an_access_token,
    jwks,
)

EC = a_key("ES256", "ec")
RSA = a_key("RS256", "rsa")
WIDE = a_key("ES384", "wide")
NOW = int(NOW_UNIX_S)
LEAF = hashlib.sha256(b"leaf").digest()
THUMBPRINT = base64.urlsafe_b64encode(LEAF).rstrip(b"=").decode()


async def _verifier(*keys, clock=None, documents=None, **settings):
    """A verifier whose keys were fetched once."""
    clock = clock or FixedClock()
    documents = documents or FixedDocuments()
    documents.serve(*(keys or (EC, RSA, WIDE)))
    issuer = OidcIssuer(**{"issuer": ISSUER, "audience": AUDIENCE} | settings)
    held = IssuerKeys(name="corp", settings=issuer, fetch=documents, clock=clock)
    await held._attempt()
    return OidcVerifier(name="corp", settings=issuer, leeway_s=5, keys=held, clock=clock)


async def _proof(verifier, token):
    return await verifier.verified(hashlib.sha256(token.encode()).digest(), read_jws(token))


async def _cause(verifier, token):
    with pytest.raises(UnauthenticatedError) as refusal:
        await _proof(verifier, token)
    return Cause(refusal.value.cause)


async def test_an_access_token_names_its_subject_in_its_issuers_namespace():
    proof = await _proof(await _verifier(subject_type="person"), an_access_token(EC))
    assert proof.leaf_sha256 is None
    assert proof.subject == Subject(
        id="oidc:alice@corp",
        type="person",
        trust_domain=None,
        credential=Credential.OIDC,
        expires_unix_s=NOW + 300,
        instance=None,
    )


async def test_what_a_token_opened_stands_until_its_end_and_its_keys_withdrawal():
    clock, documents = FixedClock(), FixedDocuments()
    verifier = await _verifier(EC, RSA, clock=clock, documents=documents)
    still = (await _proof(verifier, an_access_token(EC))).subject.still
    clock.pass_s(304)
    assert still()
    clock.pass_s(1)
    assert not still()
    clock.pass_s(-300)
    assert still()
    documents.serve(RSA)
    await verifier._keys._attempt()
    assert not still()


async def test_what_a_token_opened_ends_with_an_issuer_that_is_silent_too_long():
    clock = FixedClock()
    verifier = await _verifier(EC, clock=clock, max_life_s=7200)
    still = (await _proof(verifier, an_access_token(EC, exp=NOW + 7000))).subject.still
    clock.pass_s(3600)
    assert still()
    clock.pass_s(1)
    assert not still()


ACCESS = [
    pytest.param(an_access_token(RSA), id="rsa"),
    pytest.param(an_access_token(EC, {"typ": "AT+JWT"}), id="typ-in-capitals"),
    pytest.param(an_access_token(EC, {"typ": "application/at+jwt"}), id="typ-whole"),
    pytest.param(an_access_token(EC, {"kid": None}), id="no-kid"),
    pytest.param(an_access_token(EC, {"x5t": "x"}), id="x5t-named"),
    pytest.param(an_access_token(EC, aud=["other", AUDIENCE]), id="one-audience-of-two"),
    pytest.param(an_access_token(EC, exp=NOW - 4), id="exp-within-leeway"),
    pytest.param(an_access_token(EC, iat=NOW + 5), id="iat-within-leeway"),
    pytest.param(an_access_token(EC, sub="spiffe://acme.test/x"), id="sub-is-only-a-name"),
    pytest.param(an_access_token(EC, sub="a@b c~"), id="sub-printable"),
]


@pytest.mark.parametrize("token", ACCESS)
async def test_a_valid_access_token_is_taken(token):
    subject = (await _proof(await _verifier(), token)).subject
    assert subject.id.startswith("oidc:")
    assert subject.id.rpartition("@")[2] == "corp"


REFUSED = [
    pytest.param(an_access_token(EC, {"alg": "none"}), Cause.ALGORITHM, id="none"),
    pytest.param(an_access_token(EC, {"alg": "HS256"}), Cause.ALGORITHM, id="hmac"),
    pytest.param(an_access_token(WIDE), Cause.ALGORITHM, id="not-in-the-issuers-list"),
    pytest.param(an_access_token(EC, {"crit": ["exp"]}), Cause.HEADER_NAME, id="crit"),
    pytest.param(an_access_token(EC, {"jku": ISSUER}), Cause.HEADER_NAME, id="jku"),
    pytest.param(an_access_token(EC, {"jwk": EC.jwk()}), Cause.HEADER_NAME, id="jwk"),
    pytest.param(an_access_token(EC, {"x5c": ["x"]}), Cause.HEADER_NAME, id="x5c"),
    pytest.param(an_access_token(EC, {"typ": "JWT"}), Cause.TOKEN_TYPE, id="an-id-token"),
    pytest.param(an_access_token(EC, {"typ": None}), Cause.TOKEN_TYPE, id="no-type"),
    pytest.param(an_access_token(EC, {"typ": ["at+jwt"]}), Cause.TOKEN_TYPE, id="type-no-text"),
    pytest.param(an_access_token(EC, {"typ": "logout+jwt"}), Cause.TOKEN_TYPE, id="other-type"),
    pytest.param(an_access_token(EC, {"kid": "other"}), Cause.UNKNOWN_KEY, id="unknown-kid"),
    pytest.param(an_access_token(EC, {"kid": "rsa"}), Cause.UNKNOWN_KEY, id="kid-of-other-type"),
    pytest.param(an_access_token(EC, {"kid": 7}), Cause.MALFORMED_TOKEN, id="kid-no-text"),
    pytest.param(an_access_token(a_key("ES256", "ec")), Cause.BAD_SIGNATURE, id="another-key"),
    pytest.param(an_access_token(EC, iss=ISSUER + "/"), Cause.MALFORMED_CLAIM, id="iss-longer"),
    pytest.param(an_access_token(EC, exp=None), Cause.MALFORMED_CLAIM, id="no-exp"),
    pytest.param(an_access_token(EC, exp=NOW - 5), Cause.EXPIRED, id="expired"),
    pytest.param(an_access_token(EC, iat=None), Cause.MALFORMED_CLAIM, id="no-iat"),
    pytest.param(an_access_token(EC, iat=NOW + 6), Cause.NOT_YET_VALID, id="iat-ahead"),
    pytest.param(an_access_token(EC, nbf=NOW + 6), Cause.NOT_YET_VALID, id="nbf-ahead"),
    pytest.param(an_access_token(EC, exp=NOW + 3606), Cause.TOO_LONG_LIVED, id="lives-too-long"),
    pytest.param(an_access_token(EC, iat=NOW - 3600), Cause.TOO_LONG_LIVED, id="lived-too-long"),
    pytest.param(an_access_token(EC, aud=None), Cause.MALFORMED_CLAIM, id="no-aud"),
    pytest.param(an_access_token(EC, aud="else"), Cause.WRONG_AUDIENCE, id="other-audience"),
    pytest.param(an_access_token(EC, sub=None), Cause.SUBJECT, id="no-sub"),
    pytest.param(an_access_token(EC, sub=""), Cause.SUBJECT, id="empty-sub"),
    pytest.param(an_access_token(EC, sub="x" * 256), Cause.SUBJECT, id="long-sub"),
    pytest.param(an_access_token(EC, sub="älice"), Cause.SUBJECT, id="sub-not-ascii"),
    pytest.param(an_access_token(EC, sub="a\nb"), Cause.SUBJECT, id="sub-with-newline"),
    pytest.param(an_access_token(EC, sub=7), Cause.SUBJECT, id="sub-no-text"),
    pytest.param(an_access_token(EC, cnf={"jkt": "x"}), Cause.CONFIRMATION, id="dpop"),
    pytest.param(an_access_token(EC, cnf={}), Cause.CONFIRMATION, id="bound-to-nothing"),
    pytest.param(an_access_token(EC, cnf="x"), Cause.CONFIRMATION, id="cnf-no-object"),
    pytest.param(
        an_access_token(EC, cnf={"x5t#S256": THUMBPRINT, "jkt": "x"}),
        Cause.CONFIRMATION,
        id="bound-twice",
    ),
    pytest.param(
        an_access_token(EC, cnf={"x5t#S256": THUMBPRINT[:-1]}), Cause.CONFIRMATION, id="short-x5t"
    ),
    pytest.param(an_access_token(EC, cnf={"x5t#S256": 7}), Cause.CONFIRMATION, id="x5t-no-text"),
    pytest.param(a_pod_token(EC), Cause.TOKEN_TYPE, id="a-pods-token"),
]


@pytest.mark.parametrize(("token", "cause"), REFUSED)
async def test_any_other_token_is_refused_with_its_cause(token, cause):
    assert await _cause(await _verifier(), token) is cause


async def test_a_bound_token_says_to_which_certificate():
    token = an_access_token(EC, cnf={"x5t#S256": THUMBPRINT})
    assert (await _proof(await _verifier(), token)).leaf_sha256 == LEAF.hex()


@pytest.mark.parametrize(
    ("named", "taken"),
    [
        pytest.param({"client_id": "desk"}, True, id="client-id"),
        pytest.param({"client_id": None, "azp": "desk"}, True, id="azp"),
        pytest.param({"client_id": "desk", "azp": "other"}, False, id="both-and-one-is-not"),
        pytest.param({"client_id": "other"}, False, id="another"),
        pytest.param({"client_id": ["desk"]}, False, id="no-text"),
        pytest.param({"client_id": None}, False, id="none"),
    ],
)
async def test_only_listed_clients_where_there_is_a_list(named, taken):
    verifier, token = await _verifier(clients=("desk",)), an_access_token(EC, **named)
    if taken:
        assert await _proof(verifier, token)
    else:
        assert await _cause(verifier, token) is Cause.CLIENT


# --- Kubernetes -----------------------------------------------------------------------------


async def test_a_projected_token_is_its_pod():
    proof = await _proof(await _verifier(token="kubernetes"), a_pod_token(RSA))
    assert proof.subject.id == "oidc:system:serviceaccount:support:triage@corp"
    assert proof.subject.instance == "pod:7f3c2a10-aaaa-4bbb-8ccc-1234567890ab"


@pytest.mark.parametrize(
    ("token", "cause"),
    [
        pytest.param(a_pod_token(EC, **{"kubernetes.io": None}), Cause.MALFORMED_CLAIM, id="none"),
        pytest.param(
            a_pod_token(EC, **{"kubernetes.io": {"namespace": "x"}}),
            Cause.MALFORMED_CLAIM,
            id="bound-to-no-pod",
        ),
        pytest.param(
            a_pod_token(EC, **{"kubernetes.io": {"pod": {"uid": "a b"}}}),
            Cause.MALFORMED_CLAIM,
            id="uid-is-none",
        ),
        pytest.param(a_pod_token(EC, sub="alice"), Cause.SUBJECT, id="no-service-account"),
        pytest.param(a_pod_token(EC, {"typ": "at+jwt"}), Cause.TOKEN_TYPE, id="an-access-token"),
        pytest.param(mint(EC, b'{"iss":"a","iss":"b"}'), Cause.MALFORMED_TOKEN, id="doubled-claim"),
    ],
)
async def test_any_other_service_account_token_is_refused(token, cause):
    verifier = await _verifier(token="kubernetes")
    assert await _cause(verifier, token) is cause


async def test_a_cluster_may_say_jwt():
    token = a_pod_token(EC, {"typ": "jwt"})
    assert await _proof(await _verifier(token="kubernetes"), token)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
NAMES = st.sampled_from(
    ["iss", "sub", "aud", "exp", "iat", "nbf", "azp", "client_id", "cnf", "kubernetes.io"]
)


@given(
    changes=st.dictionaries(NAMES, JSON, max_size=3),
    token=st.sampled_from(["access", "kubernetes"]),
)
def test_whatever_a_claim_is_the_token_is_read_or_refused(changes, token):
    settings = OidcIssuer(issuer=ISSUER, audience=AUDIENCE, clients=("desk",), token=token)
    keys = IssuerKeys(name="corp", settings=settings, fetch=FixedDocuments(), clock=FixedClock())
    verifier = OidcVerifier(
        name="corp", settings=settings, leeway_s=5, keys=keys, clock=FixedClock()
    )
    with suppress(UnauthenticatedError):
        assert verifier._claims(access_claims() | changes).subject


# --- what is known again, and until when ------------------------------------------------------


async def test_a_known_token_is_not_verified_again_and_ends_with_its_life():
    clock = FixedClock()
    verifier, token = await _verifier(clock=clock), an_access_token(EC)
    assert await _proof(verifier, token) is await _proof(verifier, token)
    clock.pass_s(306)
    assert await _cause(verifier, token) is Cause.EXPIRED


@pytest.mark.case("P11")
async def test_a_known_token_does_not_outlive_its_key():
    documents = FixedDocuments()
    verifier = await _verifier(documents=documents)
    token = an_access_token(EC)
    await _proof(verifier, token)
    documents.serve(RSA)
    await verifier._keys._attempt()
    assert await _cause(verifier, token) is Cause.UNKNOWN_KEY


@pytest.mark.case("P11")
async def test_a_known_token_does_not_outlive_the_bound_of_what_is_kept():
    clock = FixedClock()
    verifier = await _verifier(clock=clock)
    token = an_access_token(EC)
    await _proof(verifier, token)
    clock.now_monotonic_s += 3601
    verifier._keys._not_before_s = clock.now_monotonic_s + 60
    assert await _cause(verifier, token) is Cause.ISSUER_UNAVAILABLE


# --- all issuers ------------------------------------------------------------------------------


def _settings(**issuers):
    return Identity(
        oidc={
            name: OidcIssuer(issuer=issuer, audience=AUDIENCE) for name, issuer in issuers.items()
        }
    )


async def test_each_issuer_has_its_own_verifier_and_job():
    documents = FixedDocuments()
    settings = _settings(corp=ISSUER, other="https://other.test")
    fetchers = dict.fromkeys(settings.oidc, documents)
    issuers = OidcIssuers(settings=settings, clock=FixedClock(), fetchers=fetchers)
    documents.serve(EC)
    documents.serve(RSA, issuer="https://other.test")
    jobs = issuers.jobs()
    assert [name for name, _ in jobs] == ["oidc issuer corp", "oidc issuer other"]
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(job) for _, job in jobs]
        token = an_access_token(RSA, iss="https://other.test")
        proof = await _proof(issuers.by_issuer["https://other.test"], token)
        assert proof.subject.id == "oidc:alice@other"
        assert await _cause(issuers.by_issuer[ISSUER], token) is Cause.UNKNOWN_KEY
        for job in running:
            job.cancel()


def test_one_issuer_under_two_names_is_refused_at_the_start():
    settings = _settings(a=ISSUER, b=ISSUER)
    with pytest.raises(ConfigError, match=r"identity\.oidc"):
        OidcIssuers(
            settings=settings, clock=FixedClock(), fetchers=dict.fromkeys("ab", FixedDocuments())
        )


async def test_a_token_of_another_spelling_is_never_read():
    head, payload, signature = an_access_token(EC).split(".")
    for token in (f"{head}.{payload}.{signature}=", f"{head}.{payload}", b64(b"{}") * 2):
        with pytest.raises(UnauthenticatedError) as refusal:
            read_jws(token)
        assert refusal.value.cause == Cause.MALFORMED_TOKEN.value


async def test_a_pinned_address_may_be_of_another_origin():
    documents = FixedDocuments({"https://keys.test" + JWKS: jwks(EC)})
    verifier = await _verifier(documents=documents, jwks_url="https://keys.test" + JWKS)
    assert await _proof(verifier, mint(EC, access_claims(), header={"typ": "at+jwt"}))
