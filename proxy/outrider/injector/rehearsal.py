"""A review that the injector asks itself, over TLS, as the API server would (KUBERNETES §10).

Laws: what counts as well is an answer to this very review under the very certificate that is shown
now, verified by its own CA and for the Service's name where a CA is known; it counts in no metric.
The certificate's days are judged by the API server's time, not by ours.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

import orjson

from outrider.core.ports import Clock
from outrider.injector.certificates import Pause, ServedCertificate, Shown
from outrider.injector.server import PROBE_HEADER, Webhook

logger = logging.getLogger("outrider.injector")

EVERY_S: Final = 10.0
STALE_S: Final = 35.0
"""Three rehearsals that did not go well, one after the other."""
_UNTIL_FIRST_S: Final = 0.2
_LIMIT_S: Final = 5.0
_ANSWER_BYTES: Final = 1 << 20
_LOW: Final = 0.25
_NO_CHECK_TIME: Final = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which `ssl` has no name for."""
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to call, not to bind


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Collaborators of `Rehearsal`. `name` is the one that the API server asks for; `now_unix_s`
    tells the time that certificates are judged by."""

    webhook: Webhook
    served: ServedCertificate
    name: str
    clock: Clock
    now_unix_s: Callable[[], float]
    pause: Pause = asyncio.sleep


class Rehearsal:
    """Asks a review of our own every ten seconds, and says what is missing for readiness."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._well_s: float | None = None
        self._fault = "no review was rehearsed yet"

    async def run(self) -> None:
        """For ever. Raises nothing but its own cancellation."""
        while True:
            await self.ask()
            await self._parts.pause(_UNTIL_FIRST_S if self._well_s is None else EVERY_S)

    async def ask(self) -> None:
        """One rehearsal; what came of it is what `review` says from then on."""
        shown = self._parts.served.shown
        if shown is None:
            return
        try:
            async with asyncio.timeout(_LIMIT_S):
                await self._ask(shown)
        except TimeoutError:
            self._note("the webhook did not answer in time")
        except (OSError, EOFError, ssl.SSLError, ValueError) as fault:
            self._note(f"the webhook did not answer a review: {type(fault).__name__}")
        else:
            self._well_s = self._parts.clock.monotonic_s()
            self._fault = ""

    # --- readiness ---

    def certificate(self) -> str | None:
        """What is wrong with the certificate, in a sentence; None where nothing is."""
        shown, now_s = self._parts.served.shown, self._parts.now_unix_s()
        if shown is None:
            return "no certificate is held yet"
        if now_s >= shown.until_unix_s:
            return "the certificate has expired"
        if now_s < shown.from_unix_s:
            return "the certificate is not valid yet"
        return None

    def certificate_is_low(self) -> str | None:
        """Whether less than a quarter of the certificate's life is left."""
        shown = self._parts.served.shown
        if shown is None:
            return None
        left_s = shown.until_unix_s - self._parts.now_unix_s()
        if left_s < _LOW * (shown.until_unix_s - shown.from_unix_s):
            return "less than a quarter of the certificate's life is left"
        return None

    def review(self) -> str | None:
        """Why a review would not be answered, as last tried; None where one was."""
        if self._well_s is None:
            return self._fault
        if self._parts.clock.monotonic_s() - self._well_s >= STALE_S:
            return self._fault or "no review was rehearsed lately"
        return None

    # --- inside ---

    def _note(self, fault: str) -> None:
        if fault != self._fault:
            logger.warning(
                "a rehearsed review was not answered",
                extra={"event": "injector_rehearsal", "fault": fault},
            )
        self._fault = fault

    async def _ask(self, shown: Shown) -> None:
        host, port = self._parts.webhook.addresses[0]
        reader, writer = await asyncio.open_connection(
            _ANYWHERE.get(host, host),
            port,
            ssl=_client(shown),
            server_hostname=self._parts.name,
            limit=_ANSWER_BYTES,
        )
        try:
            shows = writer.get_extra_info("ssl_object").getpeercert(True)
            # Between reading `shown` and the handshake the certificate may have been renewed.
            newest = self._parts.served.shown
            if shows not in (shown.leaf, newest.leaf if newest else None):
                raise ValueError("another certificate")
            uid = str(uuid4())
            writer.write(_request(self._parts.name, self._parts.webhook.probe_token, uid))
            await writer.drain()
            await _check(reader, uid)
        finally:
            writer.transport.abort()


def _client(shown: Shown) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if shown.authorities is None:
        # Nobody told us the CA: the very certificate is compared instead.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    context.load_verify_locations(cadata=shown.authorities.decode("ascii"))
    # Whatever is in a caBundle counts as a root to the API server, an intermediate too.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(_NO_CHECK_TIME)
    return context


def _request(host: str, token: str, uid: str) -> bytes:
    body = orjson.dumps(_review(uid))
    head = (
        f"POST /mutate/namespace?timeout=5s HTTP/1.1\r\nhost: {host}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        f"{PROBE_HEADER}: {token}\r\nconnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


def _review(uid: str) -> object:
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": uid,
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "requestKind": {"group": "", "version": "v1", "kind": "Pod"},
            "requestResource": {"group": "", "version": "v1", "resource": "pods"},
            "name": "rehearsal",
            "namespace": "rehearsal",
            "operation": "CREATE",
            "userInfo": {"username": "outrider-injector"},
            "dryRun": True,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
            "object": {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "rehearsal", "namespace": "rehearsal"},
                "spec": {
                    "automountServiceAccountToken": False,
                    "securityContext": {"runAsUser": 1000},
                    "containers": [{"name": "agent", "image": "registry.invalid/agent"}],
                },
            },
            "oldObject": None,
        },
    }


async def _check(reader: asyncio.StreamReader, uid: str) -> None:
    """Raises `ValueError` where what comes is no answer to review `uid`."""
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise ValueError("no review")
    body = await reader.read(_ANSWER_BYTES)
    while not reader.at_eof() and len(body) < _ANSWER_BYTES:
        body += await reader.read(_ANSWER_BYTES)
    answer = orjson.loads(body)
    if not isinstance(answer, dict) or answer.get("response", {}).get("uid") != uid:
        raise ValueError("another review")
