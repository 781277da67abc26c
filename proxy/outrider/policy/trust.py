"""Which policy is taken on whose word: what must be signed, by which keys, for which scope.

Laws: what was fetched is signed or refused; a bundle file that carries a signature verifies or is
refused; nothing but the library that ships and, where settings say so, local files go unsigned.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from outrider.policy.archive import SIGNATURES, Packed
from outrider.policy.bundle_keys import VerifyingKey
from outrider.policy.signature import Signed, UnverifiedError, verify

Keys = Callable[[], Mapping[str, VerifyingKey]]
"""The keys that count now, by their id. Blocking: it may read files. Raises `ConfigError`."""


def no_keys() -> Mapping[str, VerifyingKey]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """`local` is whether directories and files must be signed too; `shipped` is the one place that
    never is, since it came with the program."""

    keys: Keys = no_keys
    scope: str = ""
    local: bool = False
    shipped: Path | None = None

    def judge(self, place: Path | Packed, files: Mapping[str, bytes]) -> Signed | None:
        """What proves `files`, which lie at `place`; None where nothing must.

        Blocking. Raises `UnverifiedError`, and `ConfigError` for keys that cannot be read.
        """
        if place == self.shipped:
            return None
        archive = isinstance(place, Packed) or not place.is_dir()
        if isinstance(place, Packed) or self.local or (archive and SIGNATURES in files):
            return self._verified(place, files)
        return None

    def _verified(self, place: Path | Packed, files: Mapping[str, bytes]) -> Signed:
        named = place.name if isinstance(place, Packed) else place
        try:
            return verify(files, self.keys(), self.scope)
        except UnverifiedError as fault:
            raise UnverifiedError(f"{named}: {fault}") from fault
