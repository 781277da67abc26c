"""What names meant when this pod began, kept where only the sidecar writes.

A container of a pod starts again with the pod's files as the agent left them: what the first life
of the sidecar found counts for the later ones. Another pod, and the same pod in another sandbox
(after its node started again, say, when it has another address), begins anew.
"""

from pathlib import Path
from typing import Final

from outrider.core.errors import ConfigError
from outrider.policy.durable import write_durably

FILE: Final = "names.first"
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_NETWORK: Final = Path("/proc/self/ns/net")
_MOST_BYTES: Final = 1024


class NameMemory:
    """`server.name_files.FirstLook` in one small file; `sandbox` tells pods apart."""

    def __init__(self, path: Path, sandbox: str) -> None:
        self._path = path
        self._sandbox = sandbox

    def recall(self) -> str | None:
        """Raises `ConfigError` where there is something that cannot be read."""
        try:
            with self._path.open("rb") as file:
                lines = file.read(_MOST_BYTES).decode("ascii", "replace").splitlines()
        except FileNotFoundError:
            return None
        except OSError as fault:
            raise ConfigError(f"{self._path}: cannot be read: {fault.strerror}") from fault
        match lines:
            case [sandbox, digest] if sandbox == self._sandbox:
                return digest
            case _:
                return None

    def remember(self, digest: str) -> None:
        write_durably(self._path, f"{self._sandbox}\n{digest}\n".encode("ascii"))


def sandbox_of(pod_uid: str) -> str:
    """What stays while a pod keeps its network, and is another's otherwise. Blocking."""
    try:
        boot = _BOOT.read_text(encoding="ascii").strip()
        network = str(_NETWORK.readlink())
    except (OSError, UnicodeDecodeError):
        boot = network = ""
    return f"{pod_uid} {boot} {network}"
