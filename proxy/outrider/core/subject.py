"""Who asks, as proven."""

from collections.abc import Callable
from dataclasses import dataclass, field

from outrider.core.vocabulary import Credential


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A proven caller. `expires_unix_s` is None where the proof does not expire by itself.

    `still` says whether the bearer that named the caller would be taken now; None where no bearer
    did. It is no part of who the caller is.
    """

    id: str
    type: str  # agent | service | person
    trust_domain: str | None
    credential: Credential
    expires_unix_s: float | None
    instance: str | None
    still: Callable[[], bool] | None = field(default=None, compare=False, repr=False)
