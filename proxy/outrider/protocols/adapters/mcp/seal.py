"""The envelope around an upstream's `requestState` (PROTOCOLS §4.4).

Law: what comes back is the upstream's own state, byte for byte, for the same subject, upstream,
method and params, within its time, once; anything else cannot be opened.
"""

import base64
import binascii
import secrets
from typing import Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from outrider.core.errors import MalformedError
from outrider.core.jsonvalue import JsonObject, json_digest
from outrider.core.ports import Clock
from outrider.protocols.sessions import Bounded
from outrider.protocols.wire.jsonrpc import INVALID_PARAMS

_PREFIX: Final = "or1."
_NONCE_BYTES: Final = 12
_LIFE_S: Final = 900
_NOT_BOUND: Final = frozenset({"_meta", "inputResponses", "requestState"})


class Seals:
    """Seals and opens request state with one key. A sealed state opens once."""

    def __init__(self, *, key: bytes, clock: Clock, kept: int = 65_536) -> None:
        self._cipher = AESGCM(key)
        self._clock = clock
        self._used: Bounded[bytes, bool] = Bounded(kept)

    def seal(
        self, state: str, *, subject: str, upstream: str, method: str, params: JsonObject
    ) -> str:
        """`state` in an envelope that only this caller's repeat of this request opens."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        expires = int(self._clock.unix_s()) + _LIFE_S
        bound = _bound(subject, upstream, method, params)
        data = self._cipher.encrypt(nonce, orjson.dumps([expires, state]), bound)
        return _PREFIX + base64.urlsafe_b64encode(nonce + data).decode()

    def open(
        self, sealed: object, *, subject: str, upstream: str, method: str, params: JsonObject
    ) -> str:
        """The state inside. Raises `MalformedError` (-32602) for every way it can be wrong."""
        if not isinstance(sealed, str) or not sealed.startswith(_PREFIX):
            raise _bad()
        try:
            raw = base64.b64decode(sealed[len(_PREFIX) :], altchars=b"-_", validate=True)
            if base64.urlsafe_b64encode(raw).decode() != sealed[len(_PREFIX) :]:
                raise _bad()  # spare bits that no encoder sets
            nonce, data = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
            plain = self._cipher.decrypt(nonce, data, _bound(subject, upstream, method, params))
            expires, state = orjson.loads(plain)
        except (binascii.Error, InvalidTag, ValueError):
            raise _bad() from None
        if expires <= self._clock.unix_s() or self._used.get(nonce):
            raise _bad()
        self._used.put(nonce, True)
        return str(state)


def _bound(subject: str, upstream: str, method: str, params: JsonObject) -> bytes:
    kept: JsonObject = {key: value for key, value in params.items() if key not in _NOT_BOUND}
    return orjson.dumps([subject, upstream, method, json_digest(kept)])


def _bad() -> MalformedError:
    return MalformedError(
        "requestState was not issued for this request",
        code=INVALID_PARAMS,
        status=400,
        cause="request_state",
    )
