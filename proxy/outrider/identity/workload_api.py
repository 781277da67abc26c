"""The SPIFFE Workload API as the source of our identity, on `grpc.aio` (IDENTITY §4).

Laws: each valid message replaces all that was known, a malformed one nothing; what the agent takes
away is gone at once, what it cannot say is kept to its own end; an SVID other than the one settings
ask for never takes its place; every call carries the security header.
"""

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Any, Final

import grpc

from outrider.config.identity_settings import WorkloadApi as WorkloadApiSettings
from outrider.core.ports import Clock
from outrider.identity.events import IdentityEvents
from outrider.identity.keeper import IdentityKeeper
from outrider.identity.workload_grace import DeniedGrace
from outrider.identity.workload_jwt import DEADLINE_S, JwtSvid, JwtSvids
from outrider.identity.workload_messages import (
    JwtState,
    X509Reader,
    X509State,
    chosen,
    read_jwt_bundles,
)
from outrider.identity.workload_proto import (
    FETCH_JWT_BUNDLES,
    FETCH_JWT_SVID,
    FETCH_X509_SVID,
    SECURITY_HEADER,
    encoded,
)
from outrider.identity.workload_stream import Call, Pause, StreamLoop, Uniform

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("outrider.identity")

MESSAGE_BYTES: Final = 16 << 20
OPTIONS: Final = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
)
_METADATA: Final = (SECURITY_HEADER,)
_RANDOM: Final = random.SystemRandom()


def dial(target: str) -> Any:  # noqa: ANN401 - grpc has no types of its own
    """A channel to the agent; nothing is connected yet."""
    return grpc.aio.insecure_channel(target, options=OPTIONS)


class WorkloadApi:
    """Keeps `keeper` as the agent at `target` (a gRPC target) says, and fetches JWT-SVIDs.

    `spiffe_id` picks the SVID of that ID, the hint in `settings` the one that carries it; where no
    one fits we have none. `run` and the fetches share one channel, made on the loop they run on.
    """

    def __init__(  # noqa: PLR0913 - one keyword for each collaborator
        self,
        *,
        target: str,
        keeper: IdentityKeeper,
        clock: Clock,
        events: IdentityEvents,
        settings: WorkloadApiSettings,
        spiffe_id: str | None,
        pause: Pause = asyncio.sleep,
        uniform: Uniform = _RANDOM.uniform,
        dial: "Callable[[str], Any]" = dial,
    ) -> None:
        self._target = target
        self._keeper = keeper
        self._events = events
        self._settings = settings
        self._pause = pause
        self._uniform = uniform
        self._dial = dial
        self._dialled: Any = None
        self._streams: list[asyncio.Task[None]] = []
        self._graces: list[DeniedGrace] = []
        self._jwt_svids = JwtSvids(ask=self._ask, keeper=keeper, clock=clock, events=events)
        self._x509 = _X509(keeper, clock, self._jwt_svids, (settings.hint, spiffe_id))
        self._jwt = _Jwt(keeper)

    async def run(self) -> None:
        """Hear the agent, whatever becomes of it; ends where every stream met a fatal code, or by
        `close`. Raises nothing but its own cancellation."""
        async with asyncio.TaskGroup() as group:
            for method, request, heard in (
                (FETCH_X509_SVID, "X509SVIDRequest", self._x509),
                (FETCH_JWT_BUNDLES, "JWTBundlesRequest", self._jwt),
            ):
                grace = DeniedGrace(self._settings.denied_grace_s, heard.denied)
                self._graces.append(grace)
                loop = StreamLoop(
                    opened=self._opening(method, encoded(request)),
                    heard=heard,
                    events=self._events,
                    first_message_s=self._settings.first_message_s,
                    pause=self._pause,
                    uniform=self._uniform,
                    troubled=self._keeper.troubled,
                    grace=grace,
                )
                self._streams.append(
                    group.create_task(loop.run(), name=f"workload api {heard.kind}")
                )

    async def fetch_jwt_svid(self, *audience: str) -> JwtSvid:
        """One JWT-SVID of ours for all of `audience`, kept to half of its life. Raises
        `CredentialUnavailableError`."""
        return await self._jwt_svids.fetch(*audience)

    async def close(self) -> None:
        """End every call, and `run` where it still goes on. Idempotent."""
        for stream in self._streams:
            stream.cancel()
        for grace in self._graces:
            grace.close()
        self._jwt_svids.clear()
        if self._dialled is not None:
            await self._dialled.close()

    # --- inside ---

    def _channel(self) -> Any:  # noqa: ANN401 - grpc has no types of its own
        if self._dialled is None:
            self._dialled = self._dial(self._target)
        return self._dialled

    def _opening(self, method: str, request: bytes) -> "Callable[[], Call]":
        # Bytes both ways: gRPC would log what fails to decode, and end the stream.
        def opened() -> Call:
            call: Call = self._channel().unary_stream(method)(request, metadata=_METADATA)
            return call

        return opened

    async def _ask(self, request: bytes) -> bytes:
        call = self._channel().unary_unary(FETCH_JWT_SVID)
        answer: bytes = await call(request, metadata=_METADATA, timeout=DEADLINE_S)
        return answer


_UNREAD: Final = "bundles of other trust domains are malformed: those domains have none now"
_REVOCATIONS: Final = "the agent sends revocation lists; a client has no specified use for them"
_NOT_OURS: Final = "the agent has no SVID of the hint and SPIFFE ID in settings: we hold none"


class _Notices:
    """What is amiss with messages: told when it begins, not with each of them."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._on: set[str] = set()

    def tell(self, sentence: str, *, on: bool) -> None:
        if on and sentence not in self._on:
            logger.warning(sentence, extra={"event": "workload_api", "stream": self._stream})
        (self._on.add if on else self._on.discard)(sentence)


class _X509:
    """What the stream of X.509-SVIDs says; it alone tells how the source is."""

    kind = "x509"

    def __init__(
        self,
        keeper: IdentityKeeper,
        clock: Clock,
        tokens: JwtSvids,
        wanted: tuple[str | None, str | None],
    ) -> None:
        self._keeper = keeper
        self._clock = clock
        self._tokens = tokens
        self._hint, self._spiffe_id = wanted
        self._reader = X509Reader()
        self._notices = _Notices(self.kind)

    def read(self, data: bytes) -> "Callable[[], None]":
        state = self._reader.read(data, now_unix_s=self._clock.unix_s())
        return lambda: self._take(state)

    def _take(self, state: X509State) -> None:
        own = chosen(state.svids, hint=self._hint, spiffe_id=self._spiffe_id)
        self._notices.tell(_UNREAD, on=state.unread > 0)
        self._notices.tell(_REVOCATIONS, on=state.crls > 0)
        self._notices.tell(_NOT_OURS, on=own is None)
        if own is None:
            self.denied()
            return
        self._keeper.take_x509(own, state.bundles, own_domain=own.spiffe_id.trust_domain)

    def contact(self, *, on: bool) -> None:
        self._keeper.connected(on=on)

    def denied(self) -> None:
        self._tokens.clear()
        self._keeper.redact()

    def fatal(self, code: str) -> None:
        self._keeper.failed(f"the Workload API answered {code}")


class _Jwt:
    """What the stream of JWT bundles says."""

    kind = "jwt_bundle"

    def __init__(self, keeper: IdentityKeeper) -> None:
        self._keeper = keeper
        self._notices = _Notices(self.kind)

    def read(self, data: bytes) -> "Callable[[], None]":
        own = self._keeper.snapshot().svid
        state = read_jwt_bundles(
            data, own_domain=own.spiffe_id.trust_domain if own is not None else None
        )
        return lambda: self._take(state)

    def _take(self, state: JwtState) -> None:
        self._notices.tell(_UNREAD, on=state.unread > 0)
        self._keeper.take_jwt(state.bundles)

    def contact(self, *, on: bool) -> None:
        """The stream of SVIDs says how the source is."""

    def denied(self) -> None:
        self._keeper.take_jwt({})

    def fatal(self, code: str) -> None:
        """An agent without JWT is one all the same; the stream's end is logged and counted."""
