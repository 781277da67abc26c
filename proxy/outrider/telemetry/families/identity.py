"""Identity: handshakes, tokens, our SVID and where it comes from (IDENTITY §10)."""

from typing import Final

from outrider.telemetry.families.base import REQUEST, Children, Families, closed

# What identity tells (IDENTITY §10). It stands above telemetry, so its enums are written out here;
# the tests hold them equal.
ROLES: Final = ("server", "client")
HANDSHAKES: Final = (
    "ok", "wrong_authority", "no_bundle", "unknown_authority", "expired", "not_yet_valid", "leaf",
    "spiffe_id", "path", "no_svid", "no_certificate", "not_expected", "protocol", "internal",
)  # fmt: skip
REVALIDATIONS: Final = ("expired", "withdrawn")
SOURCE_STATES: Final = ("waiting", "serving", "disconnected", "redacted", "expired", "failed")
UPDATES: Final = (
    ("x509", "applied"), ("x509", "discarded"), ("jwt_bundle", "applied"),
    ("jwt_bundle", "discarded"),
)  # fmt: skip
STREAM_ENDS: Final = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
    "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
    "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
    "END",
)  # fmt: skip
TOKEN_KINDS: Final = ("jwt_svid", "oidc")
TOKEN_RESULTS: Final = (
    "ok", "no_identity", "no_svid", "peer_expired", "peer_withdrawn", "uid_not_allowed",
    "bearer_not_allowed", "disagreeing", "instance", "malformed_token", "header_name", "algorithm",
    "token_type", "subject", "unknown_domain", "unknown_key", "issuer_unavailable",
    "bad_signature", "malformed_claim", "expired", "not_yet_valid", "too_long_lived",
    "wrong_audience", "client", "confirmation",
)  # fmt: skip
FETCHES: Final = ("ok", "denied", "failed")


class IdentityFamilies(Families):
    def _declare(self) -> None:
        super()._declare()
        self._handshakes = self._closed(
            "identity_handshakes_total",
            "TLS handshakes by our role and how they ended",
            (closed("role", ROLES), closed("reason", HANDSHAKES)),
            [(role, reason) for role in ROLES for reason in HANDSHAKES],
            [
                (role, reason)
                for role in ROLES
                if self._shape.source and (self._shape.ingress or role == "client")
                for reason in HANDSHAKES
            ],
        )
        self._revalidations = self._closed(
            "identity_revalidation_failures_total",
            "Live connections ended since their peer's proof no longer held",
            (closed("reason", REVALIDATIONS),),
            [(reason,) for reason in REVALIDATIONS],
        )
        self._updates = self._closed(
            "identity_workload_api_updates_total",
            "Messages of the Workload API",
            (
                closed("kind", ("x509", "jwt_bundle")),
                closed("result", ("applied", "discarded")),
            ),
            UPDATES,
            None if self._shape.workload_api else (),
        )
        self._reconnects = self._closed(
            "identity_workload_api_reconnects_total",
            "Streams of the Workload API that ended, by gRPC status",
            (closed("code", STREAM_ENDS),),
            [(code,) for code in STREAM_ENDS],
            None if self._shape.workload_api else (),
        )
        self._tokens = self._closed(
            "identity_tokens_total",
            "Bearer tokens of callers by what came of them",
            (closed("kind", TOKEN_KINDS), closed("result", TOKEN_RESULTS)),
            [(kind, result) for kind in TOKEN_KINDS for result in TOKEN_RESULTS],
            [
                (kind, result)
                for kind in TOKEN_KINDS
                if kind in self._shape.tokens
                for result in TOKEN_RESULTS
            ],
        )
        self._collisions = self._tally(
            "identity_anchor_collisions_total",
            "Authorities left out since another trust domain's has their name and another key",
        ).labels()
        fetch = self._spread(
            "identity_jwt_fetch_seconds",
            "Time to fetch a JWT-SVID",
            REQUEST,
            closed("result", FETCHES),
        )
        self._fetch_s = Children(
            fetch,
            [(result,) for result in FETCHES],
            None if self._shape.jwt_fetches else (),
        )
        self._svid_left = self._one(
            "identity_svid_seconds_remaining", "Seconds that our SVID is still valid; 0 without one"
        )
        self._svid_life = self._one(
            "identity_svid_lifetime_seconds", "Whole life of our SVID; 0 without one"
        )
        self._contact = self._one(
            "identity_workload_api_last_contact_timestamp_seconds",
            "When the source of our identity was last heard; 0 for never",
        )
        self._source_state = self._level(
            "identity_workload_api_state",
            "1 for the state that the source of our identity is in; no series without a source",
            closed("state", SOURCE_STATES),
        )
        self._domains = self._one(
            "identity_bundle_trust_domains", "Trust domains whose X.509 authorities are held"
        )

    # --- identity's events (identity.events.IdentityEvents) ---------------------------------

    def handshake(self, role: str, reason: str) -> None:
        self._move(self._handshakes, role, reason)

    def revalidation_failed(self, reason: str) -> None:
        self._move(self._revalidations, reason)

    def workload_update(self, kind: str, result: str) -> None:
        self._move(self._updates, kind, result)

    def workload_reconnect(self, code: str) -> None:
        self._move(self._reconnects, code)

    def anchor_collisions(self, count: int) -> None:
        self._collisions.inc(count)

    def token(self, kind: str, result: str) -> None:
        self._move(self._tokens, kind, result)

    def jwt_fetched(self, result: str, seconds: float) -> None:
        try:
            spread = self._fetch_s[result,]
        except KeyError:
            self._overflows["identity"].inc()
        else:
            spread.observe(seconds)

    def identity_is(
        self,
        *,
        state: str,
        remaining_s: float,
        lifetime_s: float,
        contact_unix_s: float | None,
        trust_domains: int,
    ) -> None:
        """How identity is at rest, told once a second where there is a source. `state` is one of
        `SOURCE_STATES`; seconds are 0 without an SVID."""
        for name in SOURCE_STATES:
            self._source_state.labels(name).set(name == state)
        self._svid_left.set(remaining_s)
        self._svid_life.set(lifetime_s)
        self._contact.set(contact_unix_s or 0)
        self._domains.set(trust_domains)
