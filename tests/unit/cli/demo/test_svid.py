"""What the demonstration mints is what the sidecar verifies."""

import pytest

from outrider.cli.demo.stage import AGENT_ID
from outrider.cli.demo.svid import Issuer
from outrider.core.errors import UnauthenticatedError
from outrider.identity.bundles import Bundles, parse_bundle
from outrider.identity.jwt_svid import Expectation, VerifiedSvid, verify_jwt_svid

NOW_S = 1_795_000_000.0
EXPECTED = Expectation(
    audience=AGENT_ID, trust_domains=frozenset({"acme.test"}), leeway_s=5, max_life_s=3600
)


def verified(token: str, issuer: Issuer) -> VerifiedSvid:
    bundles = Bundles(by_domain={"acme.test": parse_bundle(issuer.bundle(), "acme.test")})
    return verify_jwt_svid(token, bundles=bundles, expected=EXPECTED, now_unix_s=NOW_S)


def test_a_fresh_one_proves_its_subject() -> None:
    issuer = Issuer("one")
    token = issuer.svid(AGENT_ID, AGENT_ID, now_unix_s=NOW_S, life_s=300)
    assert verified(token, issuer).subject.text == AGENT_ID


def test_one_that_ran_out_is_expired_and_nothing_else() -> None:
    issuer = Issuer("one")
    token = issuer.svid(AGENT_ID, AGENT_ID, now_unix_s=NOW_S, life_s=-60)
    with pytest.raises(UnauthenticatedError) as refused:
        verified(token, issuer)
    assert refused.value.cause == "expired"


def test_another_key_of_the_same_name_signs_for_nobody() -> None:
    token = Issuer("one").svid(AGENT_ID, AGENT_ID, now_unix_s=NOW_S, life_s=300)
    with pytest.raises(UnauthenticatedError) as refused:
        verified(token, Issuer("one"))
    assert refused.value.cause == "bad_signature"
