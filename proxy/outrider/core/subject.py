"""Who asks, as proven."""

from dataclasses import dataclass

from outrider.core.vocabulary import Credential


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A proven caller. `expires_unix_s` is None where the proof does not expire by itself."""

    id: str
    type: str  # agent | service | person
    trust_domain: str | None
    credential: Credential
    expires_unix_s: float | None
    instance: str | None
