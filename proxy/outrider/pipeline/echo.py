"""Our own live credential, sought in an upstream's answer and taken out (GOVERNANCE §7, Echo).

Laws: a credential is found across the edges of pieces; plain, base64 and percent forms are
sought; what is held back for an edge is given out at the end, so nothing is lost.
"""

import base64
import re
from typing import Final
from urllib.parse import quote

from outrider.core.exchange import Headers, ResponseHead
from outrider.core.ports import Lease

SOUGHT_BYTES: Final = 256 * 1024
"""How much of a body is searched; a credential further on is not found."""
REDACTED: Final = b"[redacted]"
_NOTHING: Final = rb"(?!)"  # matches nowhere: there is no credential long enough to be sought
_SHORTEST: Final = 8
"""A secret shorter than this would be found in ordinary text."""


class EchoFilter:
    """The filter of one answer. `found` counts what was taken out of it."""

    def __init__(self, lease: Lease) -> None:
        forms = self._forms = _forms(lease)
        self._longest = max(map(len, forms), default=0)
        self._pattern = re.compile(b"|".join(map(re.escape, forms)) or _NOTHING)
        self._held = b""
        self._seen = 0
        self.found = 0

    def head(self, head: ResponseHead) -> ResponseHead:
        """`head` with the credential taken out of every value."""
        headers: Headers = tuple(
            (name, self._clean(value.encode("latin-1")).decode("latin-1"))
            for name, value in head.headers
        )
        return ResponseHead(status=head.status, headers=headers)

    def feed(self, chunk: bytes) -> bytes:
        """What may go on of `chunk` and of what was held back before it."""
        if self._seen >= SOUGHT_BYTES:
            held, self._held = self._held, b""
            return held + chunk
        self._seen += len(chunk)
        text = self._clean(self._held + chunk)
        keep = self._begun(text)
        self._held = text[len(text) - keep :] if keep else b""
        return text[: len(text) - keep]

    def end(self) -> bytes:
        held, self._held = self._held, b""
        return held

    def _begun(self, text: bytes) -> int:
        """How many bytes at the end of `text` may be the beginning of a credential: no others
        wait for a later piece, so that an event of a stream is not held up."""
        for keep in range(min(len(text), self._longest - 1), 0, -1):
            tail = text[len(text) - keep :]
            if any(form.startswith(tail) for form in self._forms):
                return keep
        return 0

    def _clean(self, text: bytes) -> bytes:
        cleaned, count = self._pattern.subn(REDACTED, text)
        self.found += count
        return cleaned


def _forms(lease: Lease) -> list[bytes]:
    """Every way in which an upstream may spell the credential, the longest first."""
    forms: set[bytes] = set()
    for _, secret in lease.headers:
        value = secret.reveal()
        for part in {value, value.rpartition(b" ")[2]}:
            if len(part) >= _SHORTEST:
                encoded = base64.b64encode(part).rstrip(b"=")
                forms |= {
                    part,
                    encoded,
                    encoded.translate(_URL_SAFE),
                    quote(part, safe="").encode(),
                }
    return sorted(forms, key=len, reverse=True)


_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
