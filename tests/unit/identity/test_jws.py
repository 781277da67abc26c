"""Compact JWS: one spelling, one algorithm, and what a signature is checked by."""

from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from outrider.core.errors import UnauthenticatedError
from outrider.identity.causes import Cause
from outrider.identity.jwks import read_key
from outrider.identity.jws import (
    ALGORITHMS,
    algorithm_of,
    candidates,
    check_audience,
    check_signature,
    kid_of,
    read_jws,
    times_of,
)
from tests.support.builders import NOW_UNIX_S
from tests.support.jwt import a_key, b64, claims, mint

EC = a_key("ES256", "ec")
RSA = a_key("RS256", "rsa")
NOW = int(NOW_UNIX_S)


def _cause(run, *args, **named):
    with pytest.raises(UnauthenticatedError) as refusal:
        run(*args, **named)
    return Cause(refusal.value.cause)


def test_a_token_is_taken_apart():
    jws = read_jws(mint(EC))
    assert (jws.header["alg"], jws.header["kid"], jws.claims["iat"]) == ("ES256", "ec", NOW)
    assert jws.signed.count(b".") == 1
    assert len(jws.signature) == 64


@given(st.text(max_size=200) | st.binary(max_size=99).map(lambda b: b64(b) + ".e30.AA"))
def test_whatever_comes_is_read_or_refused(text):
    with suppress(UnauthenticatedError):
        assert read_jws(text).header is not None


def test_no_algorithm_is_symmetric_or_none():
    assert {name[:2] for name in ALGORITHMS} == {"RS", "PS", "ES"}


@pytest.mark.parametrize("alg", ["none", "HS256", "RS256 ", None, 1, ["RS256"]])
def test_an_algorithm_that_is_not_listed_is_refused(alg):
    token = mint(EC, header={"alg": alg})
    assert _cause(algorithm_of, read_jws(token), ALGORITHMS) is Cause.ALGORITHM


def test_a_list_narrows_the_algorithms():
    jws = read_jws(mint(EC))
    assert algorithm_of(jws, frozenset({"ES256"})) == "ES256"
    assert _cause(algorithm_of, jws, frozenset({"RS256"})) is Cause.ALGORITHM


def test_a_name_of_a_key_is_text_or_absent():
    assert kid_of(read_jws(mint(EC, header={"kid": None}))) is None
    null = read_jws(mint(EC, header=b'{"alg":"ES256","kid":null}'))
    assert _cause(kid_of, null) is Cause.MALFORMED_TOKEN


def test_only_keys_that_fit_are_asked():
    ec, rsa = read_key(EC.jwk()), read_key(RSA.jwk(alg="RS256"))
    assert candidates((ec, rsa), None, "ES256") == (ec,)
    assert candidates((ec, rsa), "rsa", "RS256") == (rsa,)
    for kid, alg in (("ec", "RS256"), ("rsa", "PS256"), ("else", "ES256"), (None, "ES384")):
        assert _cause(candidates, (ec, rsa), kid, alg) is Cause.UNKNOWN_KEY


def test_a_signature_is_of_one_of_the_keys():
    jws, key = read_jws(mint(EC)), read_key(EC.jwk())
    other = read_key(a_key().jwk())
    assert check_signature(jws, "ES256", (other, key)) is key
    assert _cause(check_signature, jws, "ES256", (other,)) is Cause.BAD_SIGNATURE
    assert _cause(check_signature, jws, "ES256", ()) is Cause.BAD_SIGNATURE


def test_an_exception_that_is_no_panic_is_not_taken_for_a_bad_signature():
    class Interrupted:
        def verify(self, *_):
            raise KeyboardInterrupt

    key = read_key(EC.jwk())
    broken = type(key)(kid=None, key=Interrupted(), curve="P-256", alg=None)
    with pytest.raises(KeyboardInterrupt):
        check_signature(read_jws(mint(EC)), "ES256", (broken,))


def test_times_are_given_as_they_stand():
    times = times_of(claims(nbf=NOW - 1), NOW_UNIX_S, leeway_s=5, max_life_s=3600)
    assert (times.expires, times.begins, times.issued) == (NOW + 300, NOW - 1, NOW)
    bare = times_of({"exp": NOW + 1.5}, NOW_UNIX_S, leeway_s=0, max_life_s=3600)
    assert (bare.begins, bare.issued) == (None, None)


@pytest.mark.parametrize("value", [True, "1", None, [1], float(2**53), -float(2**53)])
@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
def test_a_time_is_a_finite_number_below_two_to_the_53(name, value):
    said = claims() | {name: value}
    cause = _cause(times_of, said, NOW_UNIX_S, leeway_s=5, max_life_s=3600)
    assert cause is Cause.MALFORMED_CLAIM


@pytest.mark.parametrize("value", [None, 7, {}, [None], ["us", 1]])
def test_an_audience_is_text(value):
    assert _cause(check_audience, value, "us") is Cause.MALFORMED_CLAIM


def test_an_audience_holds_us_whole():
    check_audience("us", "us")
    check_audience(["them", "us"], "us")
    for value in ("US", "us ", [], ["usa"]):
        assert _cause(check_audience, value, "us") is Cause.WRONG_AUDIENCE
