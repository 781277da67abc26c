"""Who this sidecar is while it runs: where its SVID comes from, and what follows when it changes.

gRPC and `spiffe` cost memory, so they are imported only where an SVID is really held.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Coroutine, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final

from outrider.config.load import Loaded
from outrider.config.quiet import quiet_grpc
from outrider.config.settings import Profile
from outrider.core.clock import rfc3339
from outrider.core.errors import ConfigError
from outrider.core.exchange import TlsPeer
from outrider.core.jsonvalue import JsonObject
from outrider.core.ports import Clock
from outrider.identity.bundles import BundleSource
from outrider.identity.events import IdentityEvents
from outrider.identity.issuer_fetch import fetchers_of
from outrider.identity.keeper import IdentityKeeper
from outrider.identity.oidc import OidcIssuers, OidcVerifier
from outrider.identity.snapshot import Snapshot, SourceState, alive

if TYPE_CHECKING:
    from outrider.identity.svid_files import SvidFiles
    from outrider.identity.workload_api import WorkloadApi

logger = logging.getLogger("outrider.identity")

SWEEP_S: Final = 0.5
"""How often what no event tells is looked for: an SVID that ran out, ours or a peer's."""


class OwnIdentity:
    """The keeper of identities with its source, for one process; settings of it never change."""

    def __init__(self, loaded: Loaded, clock: Clock, events: IdentityEvents) -> None:
        self._loaded = loaded
        self._clock = clock
        self._events = events
        self._settings = loaded.settings.identity
        self._keys_on_disk = loaded.settings.profile is not Profile.PRODUCTION
        self.keeper = IdentityKeeper(clock=clock, events=events)
        self.workload_api: WorkloadApi | None = None
        self._files: SvidFiles | None = None
        self._oidc: OidcIssuers | None = None
        self._listed = BundleSource(
            paths={
                domain: loaded.path(path) for domain, path in self._settings.trust_bundles.items()
            }
        )

    @property
    def has_source(self) -> bool:
        return self._settings.source != "none"

    async def start(self) -> None:
        """Read what is in files; the Workload API is not waited for. Raises `ConfigError`."""
        await asyncio.to_thread(self._listed.load)
        self.keeper.take_listed(self._listed.snapshot())
        if self.has_source:
            await asyncio.to_thread(_import)
        match self._settings.source:
            case "workload_api":
                self.workload_api = self._api()
            case "files":
                self._files = self._svid_files()
                await asyncio.to_thread(self._files.load)
            case "none":
                pass
        if self._settings.oidc:
            fetchers = await asyncio.to_thread(fetchers_of, self._settings.oidc, self._loaded.path)
            self._oidc = OidcIssuers(settings=self._settings, clock=self._clock, fetchers=fetchers)

    @property
    def issuers(self) -> Mapping[str, OidcVerifier]:
        """Who verifies the tokens of issuers in settings, by `iss`. There once it has started."""
        return self._oidc.by_issuer if self._oidc is not None else {}

    def jobs(self) -> tuple[tuple[str, Coroutine[None, None, None]], ...]:
        """What keeps it current, by name."""
        found: list[tuple[str, Coroutine[None, None, None]]] = []
        if self.workload_api is not None:
            found.append(("workload api", self.workload_api.run()))
        if self._files is not None:
            found.append(("svid files", self._files.run()))
        if self._oidc is not None:
            found.extend(self._oidc.jobs())
        return tuple(found)

    async def close(self) -> None:
        if self.workload_api is not None:
            await self.workload_api.close()

    async def refresh(self) -> None:
        """Take the bundle documents named in settings as they are now; a bad one changes nothing of
        its own domain's."""
        if await self._listed.refresh():
            self.keeper.take_listed(self._listed.snapshot())

    # --- TLS ---

    def server_context(self) -> ssl.SSLContext:
        """For our listeners, under our SVID as it is at each handshake."""
        self._needed()
        from outrider.identity.tls import server_context  # noqa: PLC0415 - see the module's text

        return server_context(
            self.keeper, self._events, self._clock, keys_on_disk=self._keys_on_disk
        )

    def client_context(
        self,
        expect: tuple[str, ...],
        alpn: tuple[str, ...] = ("http/1.1",),
        *,
        events: IdentityEvents | None = None,
    ) -> ssl.SSLContext:
        """For one upstream that must prove one of the SPIFFE IDs `expect`. `events` are told in the
        place of ours."""
        self._needed()
        from outrider.identity.tls import Expected, client_context  # noqa: PLC0415 - likewise

        return client_context(
            self.keeper,
            events or self._events,
            self._clock,
            expect=Expected(expect),
            alpn=alpn,
            keys_on_disk=self._keys_on_disk,
        )

    def holds(self, peer: TlsPeer) -> bool:
        """Whether what `peer` proved in its handshake still holds."""
        return alive(peer, self.keeper.snapshot(), self._clock.unix_s())

    def own_holds(self) -> bool:
        """Whether our own identity may be used now: an SVID that is valid, or none configured."""
        return not self.has_source or self.keeper.own() is not None

    def own_domain(self) -> str | None:
        """Our trust domain, where we hold an SVID."""
        svid = self.keeper.snapshot().svid
        return svid.spiffe_id.trust_domain if svid is not None else None

    def _needed(self) -> None:
        if not self.has_source:
            raise ConfigError(
                "identity.source is none; give workload_api or files: TLS under our SVID takes one"
            )

    # --- sources ---

    def _api(self) -> "WorkloadApi":
        from outrider.identity.workload_api import WorkloadApi  # noqa: PLC0415 - likewise

        target = self._loaded.workload_api
        if target is None:
            raise ConfigError("identity.workload_api.address is not set")
        return WorkloadApi(
            target=target,
            keeper=self.keeper,
            clock=self._clock,
            events=self._events,
            settings=self._settings.workload_api,
            spiffe_id=self._settings.spiffe_id,
        )

    def _svid_files(self) -> "SvidFiles":
        from outrider.identity.svid_files import SvidFiles  # noqa: PLC0415 - likewise

        return SvidFiles(
            settings=self._settings.files,
            base=self._loaded.base,
            keeper=self.keeper,
            clock=self._clock,
            events=self._events,
            spiffe_id=self._settings.spiffe_id,
        )


def _import() -> None:
    """Blocking, and slow: all that an SVID takes."""
    quiet_grpc()
    import_module("outrider.identity.tls")
    import_module("outrider.identity.workload_api")


class IdentityWatch:
    """Acts when identities change: whatever lived on trust that is gone ends within a second.

    `act` is called for every swap of the snapshot and for each sweep; `record` with what is to
    stand on the chain when our own identity becomes another or its source another state.
    """

    def __init__(
        self,
        identity: OwnIdentity,
        *,
        act: Callable[[Snapshot], None],
        record: Callable[[JsonObject], None],
    ) -> None:
        self._identity = identity
        self._act = act
        self._record = record
        self._said: tuple[SourceState, str] | None = None
        identity.keeper.tell(self._told)

    async def run(self) -> None:
        """The sweep, twice a second: for what ends without an event."""
        keeper = self._identity.keeper
        while True:
            await asyncio.sleep(SWEEP_S)
            keeper.look()
            self._told(keeper.snapshot())

    def _told(self, snapshot: Snapshot) -> None:
        self._act(snapshot)
        if self._identity.has_source:
            self._say(snapshot)

    def _say(self, snapshot: Snapshot) -> None:
        state = self._identity.keeper.state()
        svid = snapshot.svid
        said = (state, svid.leaf_sha256 if svid is not None else "")
        if said == self._said:
            return
        self._said = said
        facts: JsonObject = {"state": state.value, "generation": snapshot.generation}
        if svid is not None:
            facts |= {
                "spiffe_id": svid.spiffe_id.text,
                "leaf_sha256": svid.leaf_sha256,
                "expires_at": rfc3339(svid.expires_unix_s),
            }
        self._record(facts)
        logger.log(
            logging.INFO if state is SourceState.SERVING else logging.WARNING,
            "our identity changed",
            extra={"event": "identity", **facts},
        )
