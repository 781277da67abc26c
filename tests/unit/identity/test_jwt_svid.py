"""JWT-SVIDs in the order of IDENTITY §6.1, rule by rule (§7)."""

import pytest
from hypothesis import given, strategies as st
from spiffe import JwtBundle, JwtSvid, TrustDomain
from spiffe.errors import PySpiffeError

from outrider.core.clock import SystemClock
from outrider.core.errors import UnauthenticatedError
from outrider.identity.bundles import Bundles, TrustBundle, parse_bundle
from outrider.identity.causes import Cause
from outrider.identity.jwks import JwtKey
from outrider.identity.jwt_svid import Expectation, verify_jwt_svid
from tests.support.builders import AGENT, NOW_UNIX_S
from tests.support.jwt import a_bundle, a_key, b64, claims, mint

EC = a_key("ES256", "ec")
WIDE = a_key("ES512", "wide")
RSA = a_key("RS256", "rsa")
STRANGER = a_key("ES256", "ec")
NOW = int(NOW_UNIX_S)


def _bundles(*jwks):
    return Bundles(by_domain={"acme.test": parse_bundle(a_bundle(*jwks), "acme.test")})


BUNDLES = _bundles(EC.jwk(), WIDE.jwk(), RSA.jwk())


def _verify(token, bundles=BUNDLES, **changes):
    expected = {
        "audience": AGENT,
        "trust_domains": frozenset({"acme.test", "trusted-without-bundle.test"}),
        "leeway_s": 5,
        "max_life_s": 3600,
    } | changes
    return verify_jwt_svid(
        token, bundles=bundles, expected=Expectation(**expected), now_unix_s=NOW_UNIX_S
    )


def _rs(alg):
    return mint(RSA, header={"alg": alg}, sign_as=alg)


TAKEN = [
    pytest.param(mint(EC), id="J-1-compact"),
    pytest.param(mint(WIDE), id="J-3-ES512"),
    *[
        pytest.param(_rs(f"{f}{n}"), id=f"J-3-{f}{n}")
        for f in ["RS", "PS"]
        for n in (256, 384, 512)
    ],
    pytest.param(mint(EC, header={"typ": "JOSE"}), id="J-4-JOSE"),
    pytest.param(mint(EC, header={"typ": None}), id="J-4-absent"),
    pytest.param(mint(EC, header={"kid": None}), id="J-5-no-kid"),
    pytest.param(mint(RSA, header={"kid": None}), id="J-5-no-kid-rsa"),
    pytest.param(mint(EC, claims(aud=AGENT)), id="J-7-text"),
    pytest.param(mint(EC, claims(aud=["other", AGENT])), id="J-7-one-of-several"),
    pytest.param(mint(EC, claims(exp=NOW - 4)), id="J-8-within-leeway"),
    pytest.param(mint(EC, claims(exp=NOW + 0.5)), id="J-8-fraction"),
    pytest.param(mint(EC, claims(nbf=NOW + 5)), id="nbf-within-leeway"),
    pytest.param(mint(EC, claims(iat=None)), id="no-iat"),
    pytest.param(mint(EC, claims(extra={"a": [1]})), id="claims-of-others"),
]

_H, _P, _S = mint(EC).split(".")
REFUSED = [
    pytest.param("", Cause.MALFORMED_TOKEN, id="J-1-nothing"),
    pytest.param(f"{_H}.{_P}", Cause.MALFORMED_TOKEN, id="J-1-two-parts"),
    pytest.param(f"{_H}.{_P}.{_S}.", Cause.MALFORMED_TOKEN, id="J-1-four-parts"),
    pytest.param(f"{_H}.{_P}.", Cause.MALFORMED_TOKEN, id="J-1-no-signature"),
    pytest.param(f"{_H}=.{_P}.{_S}", Cause.MALFORMED_TOKEN, id="J-1-padding"),
    pytest.param(f"{_H}.{_P}.{_S}\n", Cause.MALFORMED_TOKEN, id="J-1-newline"),
    pytest.param(f"{_H}.{_P}.{_S}+/", Cause.MALFORMED_TOKEN, id="J-1-plain-base64"),
    pytest.param(f"{_H}.{_P}.{_S}é", Cause.MALFORMED_TOKEN, id="J-1-not-ascii"),
    pytest.param(f"{_H}.A.{_S}", Cause.MALFORMED_TOKEN, id="J-1-odd-length"),
    pytest.param(f"{_H}.{_P}.AB", Cause.MALFORMED_TOKEN, id="J-1-spare-bits"),
    pytest.param("{}", Cause.MALFORMED_TOKEN, id="J-1-json-serialisation"),
    pytest.param(mint(EC, claims(pad="x" * 8192)), Cause.MALFORMED_TOKEN, id="over-8-KiB"),
    pytest.param(mint(EC, b"[]"), Cause.MALFORMED_TOKEN, id="payload-no-object"),
    pytest.param(mint(EC, b"{"), Cause.MALFORMED_TOKEN, id="payload-no-json"),
    pytest.param(mint(EC, b'{"sub":"a","sub":"b"}'), Cause.MALFORMED_TOKEN, id="doubled-claim"),
    pytest.param(mint(EC, b'{"exp":NaN}'), Cause.MALFORMED_TOKEN, id="nan"),
    pytest.param(
        mint(EC, header=b'{"alg":"ES256","alg":"none"}'), Cause.MALFORMED_TOKEN, id="doubled-header"
    ),
    pytest.param(mint(EC, header={"kid": 7}), Cause.MALFORMED_TOKEN, id="kid-no-text"),
    pytest.param(
        mint(EC, header=b'{"alg":"ES256","kid":null}'), Cause.MALFORMED_TOKEN, id="kid-null"
    ),
    pytest.param(mint(EC, header={"jku": "https://x"}), Cause.HEADER_NAME, id="J-2-jku"),
    pytest.param(mint(EC, header={"jwk": EC.jwk()}), Cause.HEADER_NAME, id="J-2-jwk"),
    pytest.param(mint(EC, header={"b64": False}), Cause.HEADER_NAME, id="J-2-b64"),
    pytest.param(mint(EC, header={"crit": ["exp"]}), Cause.HEADER_NAME, id="J-13-crit"),
    pytest.param(mint(EC, header={"alg": "none"}), Cause.ALGORITHM, id="J-3-none"),
    pytest.param(mint(EC, header={"alg": "HS256"}), Cause.ALGORITHM, id="J-3-hmac"),
    pytest.param(mint(EC, header={"alg": "EdDSA"}), Cause.ALGORITHM, id="J-3-eddsa"),
    pytest.param(mint(EC, header={"alg": "es256"}), Cause.ALGORITHM, id="J-3-case"),
    pytest.param(mint(EC, header={"alg": ["ES256"]}), Cause.ALGORITHM, id="J-3-list"),
    pytest.param(mint(EC, header={"alg": None}), Cause.ALGORITHM, id="J-3-absent"),
    pytest.param(mint(EC, header={"typ": "at+jwt"}), Cause.TOKEN_TYPE, id="J-4-at-jwt"),
    pytest.param(mint(EC, header={"typ": "jwt"}), Cause.TOKEN_TYPE, id="J-4-case"),
    pytest.param(
        mint(EC, header=b'{"alg":"ES256","kid":"ec","typ":null}'), Cause.TOKEN_TYPE, id="J-4-null"
    ),
    pytest.param(mint(EC, claims(sub=None)), Cause.SUBJECT, id="J-6-absent"),
    pytest.param(mint(EC, claims(sub="alice")), Cause.SUBJECT, id="J-6-plain"),
    pytest.param(mint(EC, claims(sub="spiffe://acme.test")), Cause.SUBJECT, id="J-6-no-path"),
    pytest.param(mint(EC, claims(sub=["spiffe://acme.test/a"])), Cause.SUBJECT, id="J-6-list"),
    pytest.param(mint(EC, claims(sub="spiffe://ACME.test/a")), Cause.SUBJECT, id="J-6-case"),
    pytest.param(mint(EC, claims(sub="spiffe://evil.test/a")), Cause.UNKNOWN_DOMAIN, id="J-9"),
    pytest.param(
        mint(EC, claims(sub="spiffe://trusted-without-bundle.test/a")),
        Cause.UNKNOWN_DOMAIN,
        id="J-9-no-bundle",
    ),
    pytest.param(mint(EC, header={"kid": "other"}), Cause.UNKNOWN_KEY, id="unknown-kid"),
    pytest.param(mint(EC, header={"kid": "rsa"}), Cause.UNKNOWN_KEY, id="kid-of-another-type"),
    pytest.param(mint(EC, header={"kid": "wide"}), Cause.UNKNOWN_KEY, id="kid-of-another-curve"),
    pytest.param(mint(STRANGER), Cause.BAD_SIGNATURE, id="another-key"),
    pytest.param(mint(STRANGER, header={"kid": None}), Cause.BAD_SIGNATURE, id="no-kid-nor-key"),
    pytest.param(
        mint(RSA, header={"alg": "PS256"}, sign_as="RS256"), Cause.BAD_SIGNATURE, id="padding"
    ),
    pytest.param(
        mint(RSA, header={"alg": "RS512"}, sign_as="RS256"), Cause.BAD_SIGNATURE, id="digest"
    ),
    pytest.param(f"{_H}.{_P}.{b64(bytes(64))}", Cause.BAD_SIGNATURE, id="zeros"),
    pytest.param(f"{_H}.{_P}.{b64(bytes(72))}", Cause.BAD_SIGNATURE, id="wrong-length"),
    pytest.param(f"{_H}.{b64(b'{}')}.{_S}", Cause.SUBJECT, id="payload-exchanged"),
    pytest.param(mint(EC, claims(exp=None)), Cause.MALFORMED_CLAIM, id="J-8-absent"),
    pytest.param(mint(EC, claims(exp=NOW - 5)), Cause.EXPIRED, id="J-8-past"),
    pytest.param(mint(EC, claims(exp=0)), Cause.EXPIRED, id="J-8-epoch"),
    pytest.param(mint(EC, claims(exp=str(NOW + 60))), Cause.MALFORMED_CLAIM, id="J-8-text"),
    pytest.param(mint(EC, claims(exp=True)), Cause.MALFORMED_CLAIM, id="J-8-bool"),
    pytest.param(mint(EC, claims(exp=2.0**53)), Cause.MALFORMED_TOKEN, id="J-8-beyond-bounds"),
    pytest.param(mint(EC, b'{"exp":1e999}'), Cause.MALFORMED_TOKEN, id="J-8-infinite"),
    pytest.param(mint(EC, claims(nbf=NOW + 6)), Cause.NOT_YET_VALID, id="nbf-ahead"),
    pytest.param(mint(EC, claims(nbf="0")), Cause.MALFORMED_CLAIM, id="nbf-text"),
    pytest.param(mint(EC, claims(iat=False)), Cause.MALFORMED_CLAIM, id="iat-bool"),
    pytest.param(mint(EC, claims(exp=NOW + 3606)), Cause.TOO_LONG_LIVED, id="lives-too-long"),
    pytest.param(mint(EC, claims(iat=NOW - 3600)), Cause.TOO_LONG_LIVED, id="lived-too-long"),
    pytest.param(
        mint(EC, claims(exp=NOW + 9000, iat=NOW + 8000)), Cause.TOO_LONG_LIVED, id="iat-ahead"
    ),
    pytest.param(mint(EC, claims(aud=None)), Cause.MALFORMED_CLAIM, id="J-7-absent"),
    pytest.param(mint(EC, claims(aud=[])), Cause.WRONG_AUDIENCE, id="J-7-empty"),
    pytest.param(mint(EC, claims(aud="someone")), Cause.WRONG_AUDIENCE, id="J-7-other"),
    pytest.param(mint(EC, claims(aud=AGENT + "/x")), Cause.WRONG_AUDIENCE, id="J-7-longer"),
    pytest.param(mint(EC, claims(aud=[AGENT, 7])), Cause.MALFORMED_CLAIM, id="J-7-not-all-text"),
    pytest.param(mint(EC, claims(aud={AGENT: 1})), Cause.MALFORMED_CLAIM, id="J-7-object"),
]


@pytest.mark.parametrize("token", TAKEN)
def test_a_valid_svid_proves_its_subject(token):
    svid = _verify(token)
    assert svid.subject.text == AGENT
    assert svid.expires_unix_s >= NOW - 5


@pytest.mark.parametrize(("token", "cause"), REFUSED)
def test_anything_else_is_refused_with_its_cause(token, cause):
    with pytest.raises(UnauthenticatedError) as refusal:
        _verify(token)
    assert refusal.value.cause == cause.value


def test_J_9_only_the_bundle_of_the_subjects_own_domain_counts():
    other = parse_bundle(a_bundle(STRANGER.jwk()), "evil.test")
    bundles = Bundles(by_domain={**BUNDLES.by_domain, "evil.test": other})
    domains = frozenset({"acme.test", "evil.test"})
    with pytest.raises(UnauthenticatedError) as refusal:
        _verify(mint(STRANGER), bundles, trust_domains=domains)
    assert refusal.value.cause == Cause.BAD_SIGNATURE.value
    own = mint(STRANGER, claims(sub="spiffe://evil.test/x"))
    assert _verify(own, bundles, trust_domains=domains).subject.trust_domain == "evil.test"


def test_J_5_without_kid_at_most_16_keys_are_tried():
    many = [a_key("ES256", f"k{n}").jwk() for n in range(16)]
    token = mint(EC, header={"kid": None})
    assert _verify(token, _bundles(*many[:15], EC.jwk())).subject.text == AGENT
    with pytest.raises(UnauthenticatedError) as refusal:
        _verify(token, _bundles(*many, EC.jwk()))
    assert refusal.value.cause == Cause.UNKNOWN_KEY.value


def test_J_11_a_bundle_without_keys_proves_nothing():
    with pytest.raises(UnauthenticatedError) as refusal:
        _verify(mint(EC), _bundles())
    assert refusal.value.cause == Cause.UNKNOWN_KEY.value


def test_a_key_that_names_its_algorithm_signs_by_no_other():
    bundles = _bundles(RSA.jwk(alg="RS256"))
    assert _verify(mint(RSA), bundles)
    with pytest.raises(UnauthenticatedError):
        _verify(_rs("PS256"), bundles)


def test_a_panic_while_verifying_is_no_signature():
    class PanicException(BaseException):
        """Named as pyo3 names its own, which cannot be imported."""

    class Broken:
        def verify(self, *_):
            raise PanicException("index out of bounds")

    key = JwtKey(kid="ec", key=Broken(), curve="P-256", alg=None)
    bundle = TrustBundle(trust_domain="acme.test", jwt_keys=(key,))
    with pytest.raises(UnauthenticatedError) as refusal:
        _verify(mint(EC), Bundles(by_domain={"acme.test": bundle}))
    assert refusal.value.cause == Cause.BAD_SIGNATURE.value


@given(index=st.integers(0, len(mint(EC)) - 1), letter=st.sampled_from("Aa0_-.+=\n"))
def test_no_changed_letter_is_let_through(index, letter):
    token = mint(EC)
    index %= len(token)
    if token[index] == letter:
        return
    with pytest.raises(UnauthenticatedError):
        _verify(token[:index] + letter + token[index + 1 :])


# --- S9: what the `spiffe` package does with the same bytes -----------------------------------

CLOCK = SystemClock()  # the `spiffe` package knows no other


def _fresh(header=None, **changes):
    """A token that is valid while the test runs, whenever that is."""
    now = int(CLOCK.unix_s())
    return mint(EC, claims(**{"iat": now, "exp": now + 300} | changes), header=header)


def _there(token, *jwks):
    """The subject that `spiffe` takes the token for, or None where it refuses."""
    try:
        bundle = JwtBundle.parse(TrustDomain("acme.test"), a_bundle(*jwks))
        return str(JwtSvid.parse_and_validate(token, bundle, {AGENT}).spiffe_id)
    except PySpiffeError:
        return None


def _here(token, *jwks):
    """The subject we take it for, or the cause of the refusal."""
    expected = Expectation(
        audience=AGENT, trust_domains=frozenset({"acme.test"}), leeway_s=5, max_life_s=3600
    )
    try:
        found = verify_jwt_svid(
            token, bundles=_bundles(*jwks), expected=expected, now_unix_s=CLOCK.unix_s()
        )
    except UnauthenticatedError as fault:
        return Cause(fault.cause)
    return found.subject.text


def test_S9_what_is_right_is_taken_on_both_sides():
    token = _fresh()
    assert _there(token, EC.jwk()) == _here(token, EC.jwk()) == AGENT


@pytest.mark.parametrize(
    ("unlike", "jwk", "cause"),
    [
        pytest.param({}, EC.jwk(use="x509-svid"), Cause.UNKNOWN_KEY, id="S9-use-x509"),
        pytest.param({}, EC.jwk(use="wit-svid"), Cause.UNKNOWN_KEY, id="S9-use-wit"),
        pytest.param(
            {"header": {"jku": "https://evil.test"}}, EC.jwk(), Cause.HEADER_NAME, id="S9-jku"
        ),
        pytest.param({"header": {"jwk": STRANGER.jwk()}}, EC.jwk(), Cause.HEADER_NAME, id="S9-jwk"),
        pytest.param({"sub": "spiffe://acme.test"}, EC.jwk(), Cause.SUBJECT, id="S9-root-id"),
    ],
)
def test_S9_what_is_taken_there_is_refused_here(unlike, jwk, cause):
    token = _fresh(**unlike)
    assert _there(token, jwk) is not None
    assert _here(token, jwk) is cause


def test_S9_no_exp_is_a_crash_there_and_a_cause_here():
    token = _fresh(exp=None)
    with pytest.raises(KeyError):
        _there(token, EC.jwk())
    assert _here(token, EC.jwk()) is Cause.MALFORMED_CLAIM


@pytest.mark.parametrize(
    ("header", "jwks"),
    [
        pytest.param({"kid": None}, [EC.jwk()], id="S9-J-5-no-kid"),
        pytest.param({}, [EC.jwk(), RSA.jwk(kid=None)], id="S9-a-key-without-kid-beside"),
    ],
)
def test_S9_what_the_specification_allows_is_refused_there_and_taken_here(header, jwks):
    token = _fresh(header)
    assert _there(token, *jwks) is None
    assert _here(token, *jwks) == AGENT


def test_S9_there_one_function_wants_any_audience_and_another_all():
    """Here there is one, and the token must hold it."""
    both = {AGENT, "spiffe://acme.test/second"}
    token = _fresh()
    bundle = JwtBundle.parse(TrustDomain("acme.test"), a_bundle(EC.jwk()))
    assert JwtSvid.parse_and_validate(token, bundle, both)
    with pytest.raises(PySpiffeError):
        JwtSvid.parse_insecure(token, both)
    assert _here(token, EC.jwk()) == AGENT
    assert _here(_fresh(aud="second"), EC.jwk()) is Cause.WRONG_AUDIENCE
