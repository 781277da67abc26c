"""The tokens of conf_JV and conf_ID: each right, or wrong in one thing."""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import orjson
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.contract.identity.stage import AUDIENCE, AWAY, HOME, OWN_ID, claims, token
from tests.support.jwt import SigningKey, a_key, b64, mint

ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512",
)  # fmt: skip
UNDERSCORED: Final = "spiffe://td_1.example-2.test"
NUMBERED: Final = "spiffe://192.168.1.1"


@cache
def _rsa() -> SigningKey:
    return a_key("RS256", kid="rsa")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What is published before any token: keys of ours, one of each other trust domain."""

    main: SigningKey
    by_algorithm: dict[str, SigningKey]
    edwards: ed25519.Ed25519PrivateKey
    away: SigningKey
    others: dict[str, SigningKey]

    def bundles(self) -> dict[str, list[dict[str, Any]]]:
        point = self.edwards.public_key().public_bytes_raw()
        ed = {"kty": "OKP", "crv": "Ed25519", "x": b64(point), "kid": "ed", "use": "jwt-svid"}
        ours = {key.kid: key for key in (self.main, *self.by_algorithm.values())}
        return {
            HOME: [ed, *(key.jwk() for key in ours.values())],
            AWAY: [self.away.jwk()],
        } | {name: [key.jwk()] for name, key in self.others.items()}


def keys_with(main: SigningKey) -> Keys:
    by_algorithm = {name: replace(_rsa(), alg=name) for name in ALGORITHMS if name[0] != "E"}
    by_algorithm |= {name: a_key(name, kid=name) for name in ("ES384", "ES512")}
    return Keys(
        main=main,
        by_algorithm=by_algorithm | {"ES256": main},
        edwards=ed25519.Ed25519PrivateKey.generate(),
        away=a_key(kid="away"),
        others={name: a_key(kid="other") for name in (UNDERSCORED, NUMBERED)},
    )


Made = Callable[[Keys], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """`spiffe_id` is whom a right one names, None for one that is refused."""

    made: Made
    spiffe_id: str | None = None


def right(made: Made, spiffe_id: str = OWN_ID) -> Token:
    return Token(made=made, spiffe_id=spiffe_id)


def wrong(made: Made) -> Token:
    return Token(made=made)


def claiming(**changes: Any) -> Made:
    return lambda keys: token(keys.main, **changes)


def headed(**changes: Any) -> Made:
    return lambda keys: token(keys.main, header=changes)


def compact(
    alg: str, sign: Callable[[bytes], bytes], *, kid: str = "main", payload: str | None = None
) -> str:
    """A token put together by hand; `payload` is its second part as it is sent."""
    header = b64(orjson.dumps({"alg": alg, "kid": kid, "typ": "JWT"}))
    signed = f"{header}.{payload or b64(orjson.dumps(claims()))}"
    return f"{signed}.{b64(sign(signed.encode()))}"


# --- signatures ---


def _hmac(alg: str, secret: Callable[[Keys], bytes]) -> Made:
    digest = getattr(hashlib, f"sha{alg[2:]}")
    return lambda keys: compact(alg, lambda data: hmac.digest(secret(keys), data, digest))


def _public_pem(keys: Keys) -> bytes:
    public = keys.main.key.public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _p256_over_sha384(keys: Keys) -> str:
    key = keys.main.key
    assert isinstance(key, ec.EllipticCurvePrivateKey)

    def sign(data: bytes) -> bytes:
        r, s = utils.decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA384())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    return compact("ES384", sign)


def _unsigned(_: Keys) -> str:
    return compact("none", lambda _: b"")


def _flipped(keys: Keys) -> str:
    return compact("ES256", lambda data: _with_a_bit_flipped(keys.main.sign(data)))


def _with_a_bit_flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def _other_payload(keys: Keys) -> str:
    header, _, signature = token(keys.main).split(".")
    return f"{header}.{b64(orjson.dumps(claims(sub=f'{HOME}/admin')))}.{signature}"


def _by(alg: str) -> Made:
    return lambda keys: mint(keys.by_algorithm[alg], claims())


# --- form ---


def _as_json(keys: Keys) -> str:
    header, payload, signature = token(keys.main).split(".")
    members = {"protected": header, "payload": payload, "signature": signature}
    return orjson.dumps(members).decode()


def _spoilt_base64(keys: Keys) -> str:
    payload = b64(orjson.dumps(claims()))
    middle = len(payload) // 2
    return compact("ES256", keys.main.sign, payload=f"{payload[:middle]}!{payload[middle:]}")


def _no_json(keys: Keys) -> str:
    return compact("ES256", keys.main.sign, payload=b64(orjson.dumps(claims())[:-1]))


def _longest_id() -> str:
    """2,048 bytes."""
    text = HOME
    while len(text) + 101 <= 2048:
        text += f"/{'a' * 100}"
    return text if len(text) == 2048 else f"{text}/{'b' * (2048 - len(text) - 1)}"


def _soon(seconds: int) -> int:
    return int(claims()["iat"]) + seconds


NAMED: Final = f"{HOME}/Path.With-Mixed_Case/a.b-c_D/..x/x.."
UNKNOWN: Final = "urn:a.test:unknown"
TOKENS: Final[dict[str, Token]] = {
    "JV-1": right(claiming()),
    **{f"JV-2/{alg}": right(_by(alg)) for alg in ALGORITHMS},
    "JV-3": wrong(_unsigned),
    "JV-4/HS256": wrong(_hmac("HS256", lambda _: b"s" * 32)),
    "JV-4/HS384": wrong(_hmac("HS384", lambda _: b"s" * 32)),
    "JV-4/HS512": wrong(_hmac("HS512", lambda _: b"s" * 32)),
    "JV-4/hmac-public-key": wrong(_hmac("HS256", _public_pem)),
    "JV-5": wrong(lambda keys: compact("EdDSA", keys.edwards.sign, kid="ed")),
    "JV-6/rs256-header-ec-key": wrong(lambda keys: compact("RS256", keys.main.sign)),
    "JV-6/es384-header-p256-key": wrong(_p256_over_sha384),
    "JV-7": wrong(claiming(aud=None)),
    "JV-8": wrong(claiming(aud=["other"])),
    "JV-9": right(claiming(aud=["other", AUDIENCE])),
    "JV-10": right(claiming(aud=AUDIENCE)),
    "JV-11": wrong(claiming(exp=None)),
    "JV-12": wrong(lambda keys: token(keys.main, iat=_soon(-600), exp=_soon(-300))),
    "JV-13": wrong(lambda keys: token(keys.main, nbf=_soon(300), exp=_soon(600))),
    "JV-14": wrong(_flipped),
    "JV-15": wrong(_other_payload),
    "JV-16": wrong(lambda _: token(a_key(kid="stray"))),
    "JV-17": wrong(lambda keys: token(keys.main, sub=f"{AWAY}/jv-17")),
    "JV-18": wrong(claiming(sub="spiffe://c.test/jv-18")),
    "JV-19": wrong(claiming(sub="https://a.test/jv-19")),
    "JV-20/typ-JWT": right(headed(typ="JWT")),
    "JV-20/typ-JOSE": right(headed(typ="JOSE")),
    "JV-20/no-typ": right(headed(typ=None)),
    "JV-21": wrong(headed(typ="at+jwt")),
    "JV-22": right(headed(kid=None)),
    "JV-23": wrong(headed(crit=[UNKNOWN], **{UNKNOWN: True})),
    "JV-24": wrong(_as_json),
    "JV-25/two-parts": wrong(lambda keys: token(keys.main).rpartition(".")[0]),
    "JV-25/bad-base64": wrong(_spoilt_base64),
    "JV-25/bad-json": wrong(_no_json),
    "ID-1/empty-trust-domain": wrong(claiming(sub="spiffe:///a")),
    "ID-1/port": wrong(claiming(sub=f"{HOME}:8080/a")),
    "ID-1/userinfo": wrong(claiming(sub="spiffe://u@a.test/a")),
    "ID-1/query": wrong(claiming(sub=f"{HOME}/a?x=1")),
    "ID-1/fragment": wrong(claiming(sub=f"{HOME}/a#f")),
    "ID-1/percent-encoded": wrong(claiming(sub=f"{HOME}/%41")),
    "ID-1/empty-segment": wrong(claiming(sub=f"{HOME}/a//b")),
    "ID-1/dot-segment": wrong(claiming(sub=f"{HOME}/a/./b")),
    "ID-1/dot-dot-segment": wrong(claiming(sub=f"{HOME}/a/../b")),
    "ID-1/trailing-slash": wrong(claiming(sub=f"{HOME}/a/")),
    "ID-1/invalid-path-char": wrong(claiming(sub=f"{HOME}/a!b")),
    "ID-1/invalid-trust-domain-char": wrong(claiming(sub="spiffe://t$d/a")),
    "ID-2/path-chars": right(claiming(sub=NAMED), NAMED),
    "ID-2/trust-domain-chars": right(
        lambda keys: token(keys.others[UNDERSCORED], sub=f"{UNDERSCORED}/id-2"),
        f"{UNDERSCORED}/id-2",
    ),
    "ID-2/ipv4-trust-domain": right(
        lambda keys: token(keys.others[NUMBERED], sub=f"{NUMBERED}/id-2"), f"{NUMBERED}/id-2"
    ),
    "ID-2/max-length": right(claiming(sub=_longest_id()), _longest_id()),
}
