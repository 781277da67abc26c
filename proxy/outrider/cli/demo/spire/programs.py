"""Which SPIRE is run: on the path, else what `deploy/spire/install.sh` built into our cache."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from outrider.config.load import cache_dir
from outrider.config.paths import shipped_spire
from outrider.core.errors import ConfigError

VERSION: Final = "1.15.3"
_SERIES: Final = VERSION.rpartition(".")[0] + "."
_ASK_S: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """SPIRE's two programs, of one series."""

    server: Path
    agent: Path


class NoProgramsError(ConfigError):
    """SPIRE is not to be found; the sentence says how to get it."""


def find_programs(environ: Mapping[str, str]) -> Programs:
    """SPIRE 1.15 on the path, else in the cache. Blocking. Raises `NoProgramsError`."""
    cached = cache_dir(environ) / f"spire-{VERSION}"
    for places in (environ.get("PATH", ""), str(cached)):
        server = shutil.which("spire-server", path=places)
        agent = shutil.which("spire-agent", path=places)
        if server and agent and _is_wanted(server) and _is_wanted(agent):
            return Programs(server=Path(server), agent=Path(agent))
    raise NoProgramsError(
        f"there is no SPIRE {_SERIES}x on the path or in {cached}; "
        f"run {shipped_spire() / 'install.sh'} (needs Go and a C compiler)"
    )


def _is_wanted(program: str) -> bool:
    try:
        said = subprocess.run(  # noqa: S603 - a program of the operator's own path
            [program, "--version"], capture_output=True, timeout=_ASK_S, check=False, env={}
        )
    except (OSError, subprocess.SubprocessError):
        return False
    # the version is said on standard error by some releases
    return (said.stdout + said.stderr).strip().startswith(_SERIES.encode())
