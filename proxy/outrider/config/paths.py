"""Where the files that ship with the package lie, in a wheel and in an editable install."""

from pathlib import Path
from typing import Final

from outrider.core.errors import ConfigError

_PACKAGE: Final = Path(__file__).resolve().parent.parent


def build_revision(package: Path = _PACKAGE) -> str:
    """The source revision that was built: the file `REVISION` in the package, which whoever builds
    an image or a wheel may write; `unknown` without one."""
    try:
        text = (package / "REVISION").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return "unknown"
    return text[:64] if text.isalnum() else "unknown"


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
