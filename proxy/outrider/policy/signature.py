"""Signatures on bundles, as OPA defines them: `.signatures.json` holds one JWT over all files.

Laws: every file of the bundle is in the signature and no other; a signature is checked under the
one algorithm its key is for, never the one it asks for; what cannot be read in one way only is
refused; nothing but `UnverifiedError` is raised.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from outrider.core import strict_json
from outrider.core.errors import ConfigError, MalformedError
from outrider.core.jsonvalue import Json, JsonObject
from outrider.policy.archive import SIGNATURES
from outrider.policy.bundle_keys import SigningKey, VerifyingKey
from outrider.policy.canonical import hashed_form

TOKEN_BYTES: Final = 4 << 20
_LIMITS: Final = strict_json.JsonLimits(depth=8, nodes=100_000, key_bytes=256)
_TOKEN: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_HASHES: Final = {"SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
_HEX: Final = re.compile(r"[0-9a-f]{64,128}")


class UnverifiedError(ConfigError):
    """Policy whose signature does not prove what it must."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What a good signature proved: by which key, for which scope, of which content."""

    key: str
    scope: str
    content: str


def sign(files: Mapping[str, bytes], key: SigningKey, scope: str) -> bytes:
    """The `.signatures.json` of `files`: every one of them, but for one that is there already.

    Raises `ConfigError` for a file that is signed as a document and is none.
    """
    listed: list[Json] = [
        {"algorithm": "SHA-256", "hash": _hash(name, content, "SHA-256"), "name": name}
        for name, content in sorted(files.items())
        if name != SIGNATURES
    ]
    payload: JsonObject = {"files": listed, "keyid": key.id}
    if scope:
        payload["scope"] = scope
    header: JsonObject = {"alg": key.algorithm, "kid": key.id, "typ": "JWT"}
    signed = b".".join(_b64(orjson.dumps(part)) for part in (header, payload))
    token = b".".join((signed, _b64(key.sign(signed)))).decode("ascii")
    return orjson.dumps({"signatures": [token]})


def verify(files: Mapping[str, bytes], keys: Mapping[str, VerifyingKey], scope: str) -> Signed:
    """What the signature among `files` proves of all of them. Raises `UnverifiedError`.

    `keys` are those that count, by their id; `scope` is the one the signature must have, empty
    where it must have none.
    """
    if SIGNATURES not in files:
        raise UnverifiedError("the bundle is not signed: it holds no .signatures.json")
    if not keys:
        raise UnverifiedError("the bundle is signed, and policy.signature.keys names no key")
    token = _token(files[SIGNATURES])
    header, payload, signed, signature = _parts(token)
    key = _key(header, payload, keys)
    if header.get("alg") != key.algorithm:
        raise UnverifiedError(f"the signature is not {key.algorithm}, which key {key.id} is for")
    if "crit" in header or "b64" in header:
        raise UnverifiedError("the signature's header asks for what is not known here")
    if not key.verifies(signed, signature):
        raise UnverifiedError(f"the signature does not verify with key {key.id}")
    found = payload.get("scope", "")
    if found != scope:
        raise UnverifiedError(f"the signature's scope is {_shown(found)}, not {scope!r}")
    _check_files(files, payload)
    return Signed(key=key.id, scope=scope, content=_content(files))


def _token(content: bytes) -> str:
    document = _object(content, SIGNATURES)
    tokens = document.get("signatures")
    if document.keys() - {"signatures", "plugin"} or document.get("plugin", "") not in (
        "",
        "_default",
    ):
        raise UnverifiedError(".signatures.json holds more than one signature of the plain kind")
    if not isinstance(tokens, list) or len(tokens) != 1 or not isinstance(tokens[0], str):
        raise UnverifiedError(".signatures.json holds not exactly one signature")
    return tokens[0]


def _parts(token: str) -> tuple[JsonObject, JsonObject, bytes, bytes]:
    match = _TOKEN.fullmatch(token) if len(token) <= TOKEN_BYTES else None
    if match is None:
        raise UnverifiedError("the signature is no compact JWS, or one that is too long")
    header, payload, signature = (_decoded(part) for part in match.groups())
    return (
        _object(header, "the signature's header"),
        _object(payload, "the signature's payload"),
        token[: match.start(3) - 1].encode("ascii"),
        signature,
    )


def _decoded(part: str) -> bytes:
    try:
        data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        raise UnverifiedError("a part of the signature is not base64url") from None
    if _b64(data) != part.encode("ascii"):  # spare bits that are not zero: a second spelling
        raise UnverifiedError("a part of the signature is not base64url")
    return data


def _object(content: bytes, what: str) -> JsonObject:
    try:
        value = strict_json.read(content, _LIMITS)
    except MalformedError as fault:
        raise UnverifiedError(f"{what} is not strict JSON: {fault.detail}") from None
    if not isinstance(value, dict):
        raise UnverifiedError(f"{what} is no object")
    return value


def _key(header: JsonObject, payload: JsonObject, keys: Mapping[str, VerifyingKey]) -> VerifyingKey:
    """The key that is named, in the header before the payload as OPA reads it; where none is named
    and only one counts, that one."""
    named = header.get("kid", payload.get("keyid"))
    if named is None and len(keys) == 1:
        return next(iter(keys.values()))
    if not isinstance(named, str) or named not in keys:
        raise UnverifiedError(
            f"the signature's key is {_shown(named)}, which policy.signature.keys does not name"
        )
    return keys[named]


def _check_files(files: Mapping[str, bytes], payload: JsonObject) -> None:
    listed = payload.get("files")
    if not isinstance(listed, list):
        raise UnverifiedError("the signature lists no files")
    left = {name: content for name, content in files.items() if name != SIGNATURES}
    for entry in listed:
        match entry:
            case {"name": str(name), "hash": str(digest), "algorithm": str(algorithm)}:
                content = left.pop(name, None)
            case _:
                raise UnverifiedError("the signature lists a file without name, hash and algorithm")
        if content is None:
            raise UnverifiedError(
                f"the signature lists {_shown(name)}, which is not there, or twice"
            )
        if algorithm not in _HASHES or not _HEX.fullmatch(digest):
            raise UnverifiedError(f"the signature hashes {name} in a way that is not taken")
        if not hmac.compare_digest(_hash(name, content, algorithm), digest):
            raise UnverifiedError(f"{name} is not what was signed")
    if left:
        raise UnverifiedError(f"{_shown(min(left))} is not part of what was signed")


def _content(files: Mapping[str, bytes]) -> str:
    """A digest of all that is signed, whoever signed it and however often; of what the signature
    speaks of and no more, so that nobody can spell a release anew and have it pass for another."""
    total = hashlib.sha256()
    for name in sorted(files):
        if name != SIGNATURES:
            form = hashed_form(name, files[name])
            total.update(f"{len(name)}:{name}:{len(form)}:".encode())
            total.update(form)
    return total.hexdigest()


def _hash(name: str, content: bytes, algorithm: str) -> str:
    try:
        return hashlib.new(_HASHES[algorithm], hashed_form(name, content)).hexdigest()
    except ConfigError as fault:
        raise UnverifiedError(str(fault)) from fault


def _shown(value: Json) -> str:
    return repr(value)[:100]


def _b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
