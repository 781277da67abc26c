"""The highest sequence of signed policy that was ever in force here, remembered across restarts.

Laws: an older signed bundle is refused until an operator asks for it; of one sequence there is one
content; what cannot be remembered is not put in force.
"""

from pathlib import Path
from typing import Final, Protocol

import orjson

from outrider.core import strict_json
from outrider.core.errors import ConfigError, MalformedError
from outrider.policy.durable import write_durably
from outrider.policy.release import Release
from outrider.policy.signature import UnverifiedError

FILE: Final = "sequence.json"
_FILE_BYTES: Final = 4096


class Ledger(Protocol):
    """Both block, and raise `ConfigError`."""

    def check(self, release: Release, *, fetched: bool) -> None:
        """That `release` may come into force after what was."""

    def note(self, release: Release) -> None:
        """It comes into force now."""


class SequenceLedger:
    """`Ledger` in one file. `least` is the sequence below which none is taken, whatever it says."""

    def __init__(self, folder: Path, *, least: int = 0) -> None:
        self._path = folder / FILE
        self._least = least

    def check(self, release: Release, *, fetched: bool) -> None:
        """As the port says. What was `fetched` must say its sequence; a signed file may leave it
        out as long as none that said it was in force."""
        if release.signed is None:
            return
        sequence = release.sequence
        highest, content = self._read()
        if sequence is None:
            if fetched or highest is not None or self._least:
                raise UnverifiedError(
                    "the bundle has no metadata.sequence, so it could be an old one; give "
                    "`outrider bundle build --sequence` one above the last"
                )
            return
        if sequence < self._least:
            raise UnverifiedError(
                f"the bundle's sequence {sequence} is below policy.signature.least_sequence "
                f"{self._least}"
            )
        if highest is None or sequence > highest:
            return
        if sequence < highest:
            raise UnverifiedError(
                f"the bundle's sequence {sequence} is older than {highest}, which was in force; "
                "sign the old tree under a new sequence, or ask for it with `outrider policy "
                f"rollback {sequence}`"
            )
        if content is not None and content != release.signed.content:
            raise UnverifiedError(
                f"another bundle of sequence {sequence} was in force; give each its own"
            )

    def note(self, release: Release) -> None:
        """As the port says."""
        if release.signed is None or release.sequence is None:
            return
        found = (release.sequence, release.signed.content)
        if self._read() != found:
            self._write(*found)

    def highest(self) -> int | None:
        """The sequence to be reached at least; None where none was seen. Blocking; raises
        `ConfigError`."""
        return self._read()[0]

    def allow(self, sequence: int) -> None:
        """Let a bundle of `sequence`, or a later one, come into force: an operator's word.

        Blocking. Raises `ConfigError`, also for one below the least of the settings.
        """
        if sequence < self._least:
            raise ConfigError(
                f"{sequence} is below policy.signature.least_sequence {self._least}; lower that"
            )
        self._write(sequence, None)

    def _read(self) -> tuple[int | None, str | None]:
        try:
            with self._path.open("rb") as file:
                document = strict_json.read(file.read(_FILE_BYTES))
        except FileNotFoundError:
            return None, None
        except (OSError, MalformedError) as fault:
            raise ConfigError(f"{self._path}: cannot be read: {fault}") from fault
        match document:
            case {"sequence": int(sequence), "content": str() | None as content}:
                return sequence, content
            case _:
                raise ConfigError(f"{self._path}: does not say which policy was in force")

    def _write(self, sequence: int, content: str | None) -> None:
        write_durably(self._path, orjson.dumps({"sequence": sequence, "content": content}))
