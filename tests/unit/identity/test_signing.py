"""Tokens under our own key: signed and read again, and no others (IDENTITY §1)."""

import base64
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from outrider.core.errors import CredentialUnavailableError, UnauthenticatedError
from outrider.identity.signing import OWN_KEYS, OwnSigner
from outrider.identity.spiffe_id import parse_spiffe_id
from tests.support.builders import AGENT
from tests.support.jwt import a_key, mint

TYP = "outrider-task+jwt"
CLAIMS: Any = {"sub": AGENT, "exp": 2_000_000_000}


@dataclass
class _Svid:
    private_key: Any


@dataclass
class _Own:
    svid: _Svid
    expires_unix_s: float = 3_000_000_000.0
    spiffe_id: Any = field(default_factory=lambda: parse_spiffe_id(AGENT))


@dataclass
class HeldKeys:
    """A keeper's `own`, as whoever signs sees it."""

    now: _Own | None = None

    def own(self) -> _Own | None:
        return self.now


def a_signer(key: Any = None, *, ephemeral: bool = False) -> tuple[OwnSigner, HeldKeys]:
    held = HeldKeys(_Own(_Svid(key)) if key is not None else None)
    signer = OwnSigner(keeper=held, own_id="spiffe://set.test/x", ephemeral=ephemeral)  # type: ignore[arg-type]
    return signer, held


def cause(signer: OwnSigner, token: str, typ: str = TYP) -> str | None:
    with pytest.raises(UnauthenticatedError) as refusal:
        signer.read(typ, token)
    return refusal.value.cause


def header_of(token: str) -> Any:
    head = token.partition(".")[0]
    return orjson.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))


@pytest.mark.parametrize(
    ("key", "alg"),
    [
        pytest.param(ec.generate_private_key(ec.SECP256R1()), "ES256", id="P-256"),
        pytest.param(ec.generate_private_key(ec.SECP384R1()), "ES384", id="P-384"),
        pytest.param(ec.generate_private_key(ec.SECP521R1()), "ES512", id="P-521"),
        pytest.param(rsa.generate_private_key(65537, 2048), "RS256", id="RSA"),
    ],
)
def test_the_algorithm_follows_the_key_and_what_is_signed_is_read(key: Any, alg: str) -> None:
    signer, _ = a_signer(key)
    token = signer.sign(TYP, CLAIMS)
    assert header_of(token)["alg"] == alg
    assert header_of(token)["typ"] == TYP
    assert signer.read(TYP, token) == CLAIMS
    assert signer.issuer == AGENT


def test_what_is_signed_ends_with_the_certificate() -> None:
    signer, held = a_signer(ec.generate_private_key(ec.SECP256R1()))
    assert held.now is not None
    held.now.expires_unix_s = 1_900_000_000.5
    assert signer.read(TYP, signer.sign(TYP, CLAIMS))["exp"] == 1_900_000_000


def test_without_an_svid_a_laptop_signs_and_nobody_else() -> None:
    laptop, _ = a_signer(ephemeral=True)
    assert laptop.read(TYP, laptop.sign(TYP, CLAIMS)) == CLAIMS
    assert laptop.issuer == "spiffe://set.test/x"
    other, _ = a_signer(ephemeral=True)
    assert cause(other, laptop.sign(TYP, CLAIMS)) == "unknown_key"
    none, _ = a_signer()
    with pytest.raises(CredentialUnavailableError):
        none.sign(TYP, CLAIMS)
    assert cause(none, laptop.sign(TYP, CLAIMS)) == "unknown_key"


def test_a_key_that_was_ours_still_verifies_after_its_rotation() -> None:
    signer, held = a_signer(ec.generate_private_key(ec.SECP256R1()))
    before = signer.sign(TYP, CLAIMS)
    for _ in range(OWN_KEYS - 1):
        held.now = _Own(_Svid(ec.generate_private_key(ec.SECP256R1())))
        signer.sign(TYP, CLAIMS)
    assert signer.read(TYP, before) == CLAIMS
    held.now = _Own(_Svid(ec.generate_private_key(ec.SECP256R1())))
    signer.sign(TYP, CLAIMS)
    assert cause(signer, before) == "unknown_key"


def test_a_token_may_be_read_before_any_was_signed() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    first, _ = a_signer(key)
    again, _ = a_signer(key)
    assert again.read(TYP, first.sign(TYP, CLAIMS)) == CLAIMS


def test_a_key_that_signs_no_token_is_told() -> None:
    signer, _ = a_signer(ed25519.Ed25519PrivateKey.generate())
    with pytest.raises(CredentialUnavailableError, match="signs no token"):
        signer.sign(TYP, CLAIMS)


def test_every_flipped_character_is_refused() -> None:
    signer, _ = a_signer(ec.generate_private_key(ec.SECP256R1()))
    token = signer.sign(TYP, CLAIMS)
    for place, char in enumerate(token):
        other = "A" if char != "A" else "B"
        with pytest.raises(UnauthenticatedError):
            signer.read(TYP, token[:place] + other + token[place + 1 :])


def test_a_token_of_another_kind_or_from_another_mint_is_refused() -> None:
    signer, _ = a_signer(ec.generate_private_key(ec.SECP256R1()))
    assert cause(signer, signer.sign(TYP, CLAIMS), "outrider-grant+jwt") == "token_type"
    assert cause(signer, mint(a_key(), CLAIMS)) == "token_type"
    assert cause(signer, "a.b.c") == "malformed_token"
    token = signer.sign(TYP, CLAIMS)
    _, claims, signature = token.split(".")
    for header, why in (
        ({"alg": "none", "typ": TYP, "kid": "x"}, "algorithm"),
        ({"alg": "HS256", "typ": TYP, "kid": "x"}, "algorithm"),
        ({"alg": "ES256", "typ": TYP}, "unknown_key"),
        ({"alg": "ES256", "typ": TYP, "kid": "x", "jwk": {}}, "header_name"),
        ({**header_of(token), "alg": "ES384"}, "unknown_key"),
        ({**header_of(token), "alg": "RS256"}, "unknown_key"),
    ):
        head = base64.urlsafe_b64encode(orjson.dumps(header)).rstrip(b"=").decode()
        assert cause(signer, f"{head}.{claims}.{signature}") == why
