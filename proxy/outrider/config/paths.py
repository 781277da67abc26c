"""Where the files that ship with the package lie, in a wheel and in an editable install."""

from pathlib import Path
from typing import Final

from outrider.core.errors import ConfigError

_PACKAGE: Final = Path(__file__).resolve().parent.parent


def shipped_rego() -> Path:
    """The policy library that ships: inside the wheel, else beside `proxy/` in a working copy.

    Raises `ConfigError` where neither is there.
    """
    for place in (_PACKAGE / "_rego", _PACKAGE.parent.parent / "rego"):
        if (place / "outrider").is_dir():
            return place
    raise ConfigError("the policy library that ships with Outrider is missing: install it again")


def shipped_spire() -> Path:
    """SPIRE's sample configuration and installer: inside the wheel, else `deploy/spire`.

    Raises `ConfigError` where neither is there.
    """
    for place in (_PACKAGE / "_spire", _PACKAGE.parent.parent / "deploy" / "spire"):
        if (place / "server.conf").is_file():
            return place
    raise ConfigError("SPIRE's sample configuration is missing: install Outrider again")
