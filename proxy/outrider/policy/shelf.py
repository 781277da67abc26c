"""The last good bundle, kept as it came, so that a start need not wait for its source.

Laws: what is kept is only what was in force; it is verified anew whenever it is used; when it was
confirmed last is kept with it, so that a restart makes nothing fresher than it is.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from outrider.core import strict_json
from outrider.core.errors import ConfigError, MalformedError
from outrider.core.jsonvalue import digest
from outrider.policy.archive import MAX_BYTES, Packed
from outrider.policy.durable import write_durably

BUNDLE: Final = "bundle.tar.gz"
FACTS: Final = "bundle.json"
_FACTS_BYTES: Final = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A bundle that was in force: from `packed.name`, last confirmed at `confirmed_unix_s`."""

    packed: Packed
    etag: str
    confirmed_unix_s: float


class Shelf:
    """One bundle in `folder`. All methods block."""

    def __init__(self, folder: Path) -> None:
        self._bundle = folder / BUNDLE
        self._facts = folder / FACTS
        self._last: tuple[str, str] | None = None

    def keep(self, kept: Kept) -> None:
        """Put `kept` in the place of what was there. Raises `ConfigError`."""
        write_durably(self._bundle, kept.packed.content)
        self._last = (digest(kept.packed.content), kept.packed.name)
        self._say(kept.etag, kept.confirmed_unix_s)

    def confirmed(self, etag: str, unix_s: float) -> None:
        """What is kept was confirmed. A no-op where nothing was kept since the start.

        Raises `ConfigError`.
        """
        if self._last is not None:
            self._say(etag, unix_s)

    def load(self, name: str) -> Kept | None:
        """What was kept of the source `name`; None where nothing usable was. Raises `ConfigError`
        for what is there and cannot be read."""
        try:
            with self._facts.open("rb") as file:
                facts = strict_json.read(file.read(_FACTS_BYTES))
            with self._bundle.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except (OSError, MalformedError) as fault:
            raise ConfigError(f"{self._facts}: the last good bundle cannot be read") from fault
        found = digest(content)
        match facts:
            case {
                "name": str(of),
                "digest": str(whole),
                "etag": str(etag),
                "confirmed_unix_s": int() | float() as confirmed,
            } if of == name and whole == found:
                self._last = (found, name)
                packed = Packed(name=name, content=content)
                return Kept(packed=packed, etag=etag, confirmed_unix_s=confirmed)
            case _:
                return None

    def _say(self, etag: str, unix_s: float) -> None:
        whole, name = self._last or ("", "")
        facts = {"name": name, "digest": whole, "etag": etag, "confirmed_unix_s": unix_s}
        write_durably(self._facts, orjson.dumps(facts))
