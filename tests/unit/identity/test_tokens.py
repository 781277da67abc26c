"""What tokens are remembered by, and for how long; whose rules read them."""

import pytest

from outrider.config.identity_settings import Identity
from outrider.core.errors import ConfigError, UnauthenticatedError
from outrider.identity.bundles import Bundles, parse_bundle
from outrider.identity.causes import Cause
from outrider.identity.spiffe_id import parse_spiffe_id
from outrider.identity.tokens import CallerTokens, ProofMemory, TokenKind
from tests.support.builders import AGENT, NOW_UNIX_S, FixedClock
from tests.support.identity import a_keeper, an_own_svid, hold
from tests.support.jwt import a_bundle, a_key, claims, mint
from tests.support.oidc import ISSUER

KEY = a_key()


class NoIssuer:
    """Refuses what it is given, and counts."""

    def __init__(self):
        self.asked = 0

    async def verified(self, digest, jws):
        self.asked += 1
        raise UnauthenticatedError("no", cause=Cause.UNKNOWN_KEY.value)


def _tokens(keeper=None, issuers=None, own=AGENT, clock=None, **settings):
    if keeper is None:
        keeper = a_keeper()
        bundle = parse_bundle(a_bundle(KEY.jwk()), "acme.test")
        keeper.take_listed(Bundles(by_domain={"acme.test": bundle}))
    return CallerTokens(
        settings=Identity(**settings),
        own=None if own is None else parse_spiffe_id(own),
        keeper=keeper,
        clock=clock or FixedClock(),
        issuers=issuers or {},
    )


def _listed(tokens, *keys, domain="acme.test"):
    bundle = parse_bundle(a_bundle(*[key.jwk() for key in keys]), domain)
    tokens._keeper.take_listed(Bundles(by_domain={domain: bundle}))


async def test_a_token_seen_before_is_the_same_proof():
    tokens, token = _tokens(), mint(KEY)
    proof = await tokens.verified(token)
    assert await tokens.verified(token) is proof
    assert (proof.kind, proof.subject.id, proof.leaf_sha256) == (TokenKind.JWT_SVID, AGENT, None)


def _key_is_gone(tokens):
    _listed(tokens, a_key("ES256", "else"))


def _domain_is_gone(tokens):
    tokens._keeper.take_listed(Bundles())


def _we_are_another(tokens):
    hold(tokens._keeper, svid=an_own_svid("spiffe://acme.test/else"))


def _it_has_ended(tokens):
    tokens._clock.pass_s(300 + tokens._settings.jwt_leeway_s)


@pytest.mark.parametrize(
    "ended",
    [_key_is_gone, _domain_is_gone, _we_are_another, _it_has_ended],
    ids=lambda it: it.__name__,
)
async def test_what_a_token_opened_stands_as_long_as_the_token_would_be_taken(ended):
    tokens = _tokens()
    still = (await tokens.verified(mint(KEY))).subject.still
    _listed(tokens, a_key("ES256", "else"), KEY)
    tokens._clock.pass_s(299)
    assert still()
    tokens._clock.pass_s(-299)
    ended(tokens)
    assert not still()


async def test_who_issued_it_decides_who_reads_it():
    issuer = NoIssuer()
    tokens = _tokens(issuers={ISSUER: issuer})
    assert (await tokens.verified(mint(KEY))).kind is TokenKind.JWT_SVID
    with pytest.raises(UnauthenticatedError):
        await tokens.verified(mint(KEY, claims(iss=ISSUER)))
    assert issuer.asked == 1


def test_a_kind_is_told_without_verifying():
    tokens = _tokens(issuers={ISSUER: NoIssuer()})
    assert tokens.kind(mint(KEY, claims(iss=ISSUER))) is TokenKind.OIDC
    assert tokens.kind(mint(KEY, claims(iss=[ISSUER]))) is TokenKind.JWT_SVID
    assert tokens.kind("nonsense") is TokenKind.JWT_SVID


async def test_a_new_id_of_ours_is_a_new_audience():
    tokens, token = _tokens(), mint(KEY)
    await tokens.verified(token)
    hold(tokens._keeper, svid=an_own_svid("spiffe://acme.test/else"))
    with pytest.raises(UnauthenticatedError) as refusal:
        await tokens.verified(token)
    assert refusal.value.cause == Cause.WRONG_AUDIENCE.value


async def test_a_rotation_of_our_svid_forgets_nothing():
    tokens, token = _tokens(), mint(KEY)
    hold(tokens._keeper, svid=an_own_svid())
    proof = await tokens.verified(token)
    hold(tokens._keeper, svid=an_own_svid(leaf_sha256="0b" * 32))
    assert await tokens.verified(token) is proof


def test_only_a_token_that_could_be_for_us_is_usable():
    _tokens().check_usable()
    _tokens(own=None, audience="us").check_usable()
    _tokens(own=None, source="files").check_usable()
    _tokens(own=None, issuers={ISSUER: NoIssuer()}).check_usable()
    with pytest.raises(ConfigError, match=r"identity\.audience"):
        _tokens(own=None).check_usable()


async def test_what_was_verified_otherwise_is_forgotten():
    proof = await _tokens().verified(mint(KEY))
    memory, keys, rules = ProofMemory(), object(), object()
    memory.under(keys, rules)
    memory.keep(b"a", proof)
    memory.under(keys, rules)
    assert memory.find(b"a", NOW_UNIX_S) is proof
    assert memory.find(b"a", NOW_UNIX_S + 300) is None
    memory.under(keys, object())
    assert memory.find(b"a", NOW_UNIX_S) is None
    memory.keep(b"a", proof)
    memory.under(object(), rules)
    assert memory.find(b"a", NOW_UNIX_S) is None
