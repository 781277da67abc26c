"""A real podman, of Debian's packages.

Laws: nothing of the system is changed: programs, storage and configuration lie in our cache; a
container that a test starts ends with its test.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from outrider.config.load import cache_dir
from tests.support.debian import Packages, UnavailableError

PROGRAMS: Final = Packages(
    folder="containers-debian",
    word="containers",
    names=(
        "podman", "conmon", "containerd", "runc", "containernetworking-plugins", "busybox-static",
        "netavark", "aardvark-dns", "nftables", "iptables",
        "libnftables1", "libnftnl11", "libmnl0", "libjansson4", "libedit2", "libbsd0", "libmd0",
        "libxtables12", "libip4tc2", "libip6tc2", "libnetfilter-conntrack3", "libnfnetlink0",
        "libgpgme11", "libassuan0", "libgpg-error0", "libsubid4", "libdevmapper1.02.1",
        "libseccomp2", "libyajl2", "patchelf", "catatonit",
    ),
)  # fmt: skip
"""What runs containers, with the libraries that a small system lacks."""

_PATCHED: Final = (
    "usr/bin/podman", "usr/bin/conmon", "usr/bin/containerd", "usr/bin/ctr", "usr/sbin/runc",
    "usr/sbin/nft",
)  # fmt: skip
_WAIT_S: Final = 900.0
_ANY: Final = '{"": [{"type": "insecureAcceptAnything"}]}'
_POLICY: Final = (
    '{"default": [{"type": "reject"}], "transports": {'
    + ", ".join(f'"{one}": {_ANY}' for one in ("tarball", "docker-archive", "containers-storage"))
    + "}}"
)
"""Images come from this machine's files; no registry is trusted, or asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    def checked(self) -> str:
        """Its output. Raises `AssertionError` with what it said where it failed."""
        assert self.code == 0, f"exit {self.code}: {self.err[-4000:]}{self.out[-1000:]}"
        return self.out


def fetch_programs() -> Path:
    """The programs, each told where its libraries lie: podman starts itself anew without its
    environment, so no variable says it. Raises `UnavailableError`."""
    root = PROGRAMS.fetch()
    for name in _PATCHED:
        patched = ["usr/bin/patchelf", "--force-rpath", "--set-rpath", PROGRAMS.libraries(), name]
        subprocess.run(patched, cwd=root, capture_output=True, timeout=60, check=True)
    return root


class Podman:
    """Podman with storage and configuration of its own."""

    def __init__(self, programs: Path, home: Path) -> None:
        self._programs = programs
        self._home = home
        configuration = home / ".config" / "containers"
        configuration.mkdir(parents=True, exist_ok=True)
        (configuration / "policy.json").write_text(_POLICY)
        (configuration / "registries.conf").write_text("unqualified-search-registries = []\n")
        self._conf = configuration / "containers.conf"
        self._conf.write_text(_configuration(programs))

    def environment(self) -> dict[str, str]:
        binaries = [self._programs / "usr" / part for part in ("bin", "sbin")]
        return {
            "PATH": ":".join([*map(str, binaries), os.environ.get("PATH", "")]),
            "HOME": str(self._home),
            "TMPDIR": str(self._home),
            "CONTAINERS_CONF": str(self._conf),
            "CONTAINERS_REGISTRIES_CONF": str(self._conf.with_name("registries.conf")),
        }

    def command(self, *arguments: str) -> list[str]:
        return [
            str(self._programs / "usr" / "bin" / "podman"),
            "--root", str(self._home / "storage"), "--runroot", str(self._home / "run"),
            "--storage-driver", "overlay", *arguments,
        ]  # fmt: skip

    def run(self, *arguments: str, wait_s: float = _WAIT_S, stdin: bytes = b"") -> Done:
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment(),
            input=stdin,
            capture_output=True,
            timeout=wait_s,
            check=False,
        )
        return Done(
            code=done.returncode,
            out=done.stdout.decode("utf-8", "replace"),
            err=done.stderr.decode("utf-8", "replace"),
        )

    def has(self, image: str) -> bool:
        return self.run("image", "exists", image).code == 0

    def close(self) -> None:
        """Everything that still runs is ended, what it wrote is dropped; images stay."""
        self.run("pod", "rm", "--all", "--force", "--time", "0")
        self.run("rm", "--all", "--force", "--time", "0")


def _configuration(programs: Path) -> str:
    """The limits are given because a container may not raise what the machine has not."""
    runc = programs / "usr" / "sbin" / "runc"
    return f"""[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
init_path = ""
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
conmon_path = ["{programs}/usr/bin/conmon"]
helper_binaries_dir = ["{programs}/usr/lib/podman", "{programs}/usr/bin"]
[engine.runtimes]
runc = ["{runc}"]
[network]
cni_plugin_dirs = ["{programs}/usr/lib/cni"]
"""


def podman() -> Podman:
    """Raises `UnavailableError` where there is none, or it does not run here."""
    if os.getuid() != 0:
        raise UnavailableError("podman's storage needs root here")
    found = Podman(PROGRAMS.found(), cache_dir(os.environ) / "podman")
    told = found.run("info", "--format", "{{.Host.OCIRuntime.Name}}", wait_s=60)
    if told.code != 0 or told.out.strip() != "runc":
        raise UnavailableError(f"podman does not run here: {told.err.strip()[-300:]}")
    return found
