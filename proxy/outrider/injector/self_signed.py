"""Mode `self`: a CA and a certificate in one Secret, renewed by the holder of a Lease.

Laws: only the holder of the Lease writes, and each write names the version it read, so that two
who both think they hold it cannot undo one another's work; a certificate is shown once it is
stored; a CA signs once the configuration has carried it for `settle_s`; what is lost is written
back from memory, and made anew only where nobody remembers it; while the API server is silent, what
is held serves on. What time it is, the API server says, who judges the certificate.
"""

import asyncio
import base64
import logging
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.ports import Clock
from outrider.injector.authority import Held, Terms, UnfitError, advanced, data_of, first, held_of
from outrider.injector.certificates import (
    CertificateError,
    InjectorEvents,
    Pause,
    ServedCertificate,
)
from outrider.injector.election import Election, Standing
from outrider.injector.kube import ConflictError, KubeError, Patch

logger = logging.getLogger("outrider.injector")

ENTRIES: Final = 64
"""Webhook entries of our configuration that are looked at, at most."""


class Api(Protocol):
    """What this needs of the API server (`kube.KubeApi`)."""

    @property
    def ahead_s(self) -> float: ...
    async def get(self, path: str) -> JsonObject: ...
    async def patch(self, path: str, change: JsonObject, kind: Patch) -> JsonObject: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """The paths of the three objects; all exist, rendered empty by the chart."""

    lease: str
    secret: str
    configuration: str

    @classmethod
    def named(cls, *, namespace: str, lease: str, secret: str, configuration: str) -> "Objects":
        return cls(
            lease=f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{lease}",
            secret=f"/api/v1/namespaces/{namespace}/secrets/{secret}",
            configuration=(
                "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/"
                + configuration
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Collaborators of `SelfSigned`."""

    api: Api
    objects: Objects
    terms: Terms
    election: Election
    served: ServedCertificate
    events: InjectorEvents
    clock: Clock
    look_s: float
    settle_s: float
    pause: Pause = asyncio.sleep


class SelfSigned:
    """Keeps `served` as the Secret says, and the Secret as it must be while we hold the Lease."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._held: Held | None = None
        self._shows: bytes | None = None
        self._leads = False
        self._leaves = False
        self._carried: tuple[bytes, float] | None = None
        self._told: str | None = None

    @property
    def leads(self) -> bool:
        """Whether we held the Lease when we last looked."""
        return self._leads

    async def run(self) -> None:
        """Look and act, for ever. Raises nothing but its own cancellation."""
        while True:
            await self.look()
            await self._parts.pause(self._parts.look_s)

    async def look(self) -> None:
        """One round: the Lease, the Secret, the configuration."""
        faults: list[str] = []
        self._leads = False
        for part in (self._campaign, self._keep_secret, self._keep_configuration):
            try:
                await part()
            except ConflictError:
                return  # somebody was faster: the next look sees what they did
            except (KubeError, CertificateError) as fault:
                faults.append(str(fault))  # the others may still be looked after
        self._tell("; ".join(dict.fromkeys(faults)) or None)

    async def release(self) -> None:
        """Let go of the Lease, so that another takes it at once; best effort. It is not taken
        again."""
        self._leaves = True
        if not self._leads:
            return
        self._leads = False
        parts = self._parts
        try:
            lease = await parts.api.get(parts.objects.lease)
            if parts.election.look(_spec(lease), parts.clock.monotonic_s()) is Standing.LEADS:
                await self._write_lease(lease, parts.election.release(self._now_s()))
        except KubeError:
            return  # it runs out by itself

    def trouble(self) -> str | None:
        """What cannot be looked after at the moment, in a sentence; None where all can."""
        return self._told

    # --- the Lease ---

    async def _campaign(self) -> None:
        parts = self._parts
        lease = await parts.api.get(parts.objects.lease)
        standing = parts.election.look(_spec(lease), parts.clock.monotonic_s())
        if standing is Standing.FOLLOWS or self._leaves:
            return
        try:
            written = await self._write_lease(lease, parts.election.claim(standing, self._now_s()))
        except ConflictError:
            return  # another replica took it: read on as a follower
        parts.election.look(_spec(written), parts.clock.monotonic_s())
        self._leads = True
        if standing is Standing.FREE:
            logger.info("this replica renews from now on", extra={"event": "injector_lease"})

    async def _write_lease(self, lease: JsonObject, spec: JsonObject) -> JsonObject:
        change: JsonObject = {"metadata": _version(lease), "spec": spec}
        return await self._parts.api.patch(self._parts.objects.lease, change, Patch.MERGE)

    # --- the Secret ---

    async def _keep_secret(self) -> None:
        parts = self._parts
        secret = await parts.api.get(parts.objects.secret)
        stored = self._stored(secret)
        if self._leads:
            stored = await self._renew(secret, stored)
        if stored is not None:
            self._held = stored
        self._show()

    def _stored(self, secret: JsonObject) -> Held | None:
        data = secret.get("data")
        if not isinstance(data, dict) or not data:
            return None
        try:
            return held_of(data)
        except UnfitError as fault:
            logger.warning(
                "the Secret holds what cannot be used",
                extra={"event": "injector_secret", "fault": str(fault)},
            )
            return None

    async def _renew(self, secret: JsonObject, stored: Held | None) -> Held:
        """What the Secret holds after whatever was due: written before it counts."""
        parts, now_s = self._parts, self._now_s()
        held = stored or self._held  # lost: what we remember still has the API server's trust
        if held is None:
            held = first(parts.terms, now_s)
        else:
            announced = await self._is_announced(held)
            held = advanced(held, parts.terms, now_s, announced=announced)
        if held is stored:
            return held
        change: JsonObject = {"metadata": _version(secret), "data": cast("Json", data_of(held))}
        await parts.api.patch(parts.objects.secret, change, Patch.MERGE)
        logger.info(
            "certificates were renewed and stored",
            extra={"event": "injector_secret", "until_unix_s": held.leaf.until_unix_s},
        )
        return held

    async def _is_announced(self, held: Held) -> bool:
        """Whether the configuration has carried the whole bundle for `settle_s`, as seen by us."""
        if held.next_ca is None:
            return False
        parts = self._parts
        configuration = await parts.api.get(parts.objects.configuration)
        wanted, now_s = held.bundle(), parts.clock.monotonic_s()
        bundles = _bundles(configuration).values()
        if not bundles or any(bundle != wanted for bundle in bundles):
            self._carried = None
            return False
        if self._carried is None or self._carried[0] != wanted:
            self._carried = (wanted, now_s)
        return now_s - self._carried[1] >= parts.settle_s

    def _show(self) -> None:
        held = self._held
        if held is None or held.leaf.certificate == self._shows:
            return
        chain = held.leaf.certificate.strip() + b"\n" + held.ca.certificate
        self._parts.served.take(chain, held.leaf.key, held.bundle())
        self._shows = held.leaf.certificate

    # --- the configuration ---

    async def _keep_configuration(self) -> None:
        held = self._held
        if held is None:
            return
        parts, wanted = self._parts, held.bundle()
        configuration = await parts.api.get(parts.objects.configuration)
        if self._leads and any(one != wanted for one in _bundles(configuration).values()):
            coded = base64.b64encode(wanted).decode("ascii")
            change: JsonObject = {
                "metadata": _version(configuration),
                "webhooks": [
                    {"name": name, "clientConfig": {"caBundle": coded}}
                    for name in _bundles(configuration)
                ],
            }
            configuration = await parts.api.patch(
                parts.objects.configuration, change, Patch.STRATEGIC
            )
            logger.info("the CA bundle was written", extra={"event": "injector_ca_bundle"})
        bundles = _bundles(configuration).values()
        own = held.ca.certificate.strip()
        parts.events.ca_bundle(in_sync=bool(bundles) and all(own in one for one in bundles))

    # --- helpers ---

    def _now_s(self) -> float:
        return self._parts.clock.unix_s() + self._parts.api.ahead_s

    def _tell(self, fault: str | None) -> None:
        """Say what is wrong once, and once that it is over."""
        if fault == self._told:
            return
        self._told = fault
        if fault is not None:
            logger.warning(
                "certificates cannot be looked after",
                extra={"event": "injector_api", "fault": fault},
            )
        else:
            logger.info("certificates are looked after", extra={"event": "injector_api"})


def _spec(lease: JsonObject) -> JsonObject:
    spec = lease.get("spec")
    return spec if isinstance(spec, dict) else {}


def _version(found: JsonObject) -> JsonObject:
    """The metadata that makes a patch hold for this version of the object alone."""
    metadata = found.get("metadata")
    version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
    if not isinstance(version, str) or not version:
        raise KubeError("the API server's object has no resourceVersion")
    return {"resourceVersion": version}


def _bundles(configuration: JsonObject) -> dict[str, bytes]:
    """The CA bundle of each webhook entry by name; empty bytes where there is none."""
    listed = configuration.get("webhooks")
    entries: list[Any] = listed if isinstance(listed, list) else []
    found: dict[str, bytes] = {}
    for entry in entries[:ENTRIES]:
        try:
            coded = entry["clientConfig"].get("caBundle") or ""
            found[str(entry["name"])] = base64.b64decode(coded, validate=True)
        except (KeyError, TypeError, AttributeError, ValueError):
            raise KubeError("the webhook configuration cannot be read") from None
    return found
