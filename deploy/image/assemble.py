"""Puts together the image's file system from the stage that built it: what runs, and no more.

    python3 deploy/image/assemble.py /rootfs

Run as root inside the build stage of the Containerfile. Every file keeps its path; each program
and library brings what it links to; what is not found ends the build.
"""  # noqa: INP001 - run by path, in a stage that holds no package of ours

import compileall
import os
import py_compile
import re
import shutil
import stat
import struct
import subprocess
import sys
import sysconfig
from pathlib import Path

import sbom

VENV = Path("/opt/outrider")
NFT = Path("/usr/bin/nft")
OPA = Path("/usr/local/bin/opa")
BILL = "usr/share/outrider/sbom.cdx.json"

# Of the standard library: what has no place beside an agent, or would run other programs.
LEFT_OUT = frozenset({
    "test", "tests", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip", "pydoc_data",
    "__pycache__", "site-packages", "dist-packages", "_tkinter",
})  # fmt: skip
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
FILES = {
    "etc/passwd": "root:x:0:0:root:/:/sbin/nologin\n"
    "outrider:x:2102:2102:outrider:/var/lib/outrider:/sbin/nologin\n"
    "nobody:x:65534:65534:nobody:/:/sbin/nologin\n",
    "etc/group": "root:x:0:\noutrider:x:2102:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}

# struct vfs_cap_data, revision 2, effective: CAP_NET_ADMIN (12) permitted, nothing inheritable.
PT_DYNAMIC = 2
NET_ADMIN = struct.pack("<IIIII", 0x0200_0001, 1 << 12, 0, 0, 0)


class Tree:
    """The root that is being filled."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.taken: set[Path] = set()

    def take(self, path: Path) -> None:
        """A file or link of ours at the path it has here, with the links on the way to it."""
        here = Path("/")
        rest = list(path.parts[1:])
        while rest:
            here /= rest.pop(0)
            target = self._at(here)
            if here.is_symlink():
                self._link(here, target)
                rest = [*_parts(here), *rest]
                here = Path("/")
            elif rest or here.is_dir():
                target.mkdir(mode=0o755, exist_ok=True)
            elif here not in self.taken:
                self.taken.add(here)
                shutil.copyfile(here, target)
                target.chmod(0o755 if here.stat().st_mode & stat.S_IXUSR else 0o644)

    def _link(self, here: Path, target: Path) -> None:
        if not target.is_symlink():
            self.taken.add(here)
            target.symlink_to(here.readlink())

    def _at(self, path: Path) -> Path:
        return self.root / path.relative_to("/")

    def write(self, name: str, content: str) -> None:
        path = self.root / name
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(0o644)


def _parts(link: Path) -> list[str]:
    """Where a link leads, as the parts of an absolute path without `..`."""
    return list(Path(os.path.normpath(link.parent / link.readlink())).parts[1:])


def _is_elf(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as handle:
        return handle.read(4) == b"\x7fELF"


def _loader() -> str:
    """The dynamic loader this Python itself names."""
    content = Path(sys.executable).resolve().read_bytes()
    found = re.search(rb"/lib[\w./-]*/ld-linux[\w.-]*\.so\.\d", content)
    if found is None:
        raise SystemExit("this Python names no loader of glibc's")
    return found[0].decode()


def _is_linked(path: Path) -> bool:
    """Whether an ELF file of 64 bits, little end first, has a dynamic section at all."""
    with path.open("rb") as handle:
        head = handle.read(64)
        (table,) = struct.unpack_from("<Q", head, 32)
        size, count = struct.unpack_from("<HH", head, 54)
        handle.seek(table)
        entries = handle.read(size * count)
    kinds = (struct.unpack_from("<I", entries, size * index)[0] for index in range(count))
    return PT_DYNAMIC in kinds


def _links_to(loader: str, path: Path) -> list[Path]:
    """The libraries that `path` is loaded with; none for a static program."""
    if not _is_linked(path):
        return []
    told = subprocess.run(  # noqa: S603 - the loader of this stage, on files of this stage
        [loader, "--list", str(path)], capture_output=True, text=True, check=False
    )
    if told.returncode != 0 or "not found" in told.stdout:
        raise SystemExit(f"{path} cannot be loaded: {told.stdout}{told.stderr}")
    return [Path(one) for one in re.findall(r"=> (/\S+)", told.stdout)]


def _python(tree: Tree) -> None:
    tree.take(Path(sys.executable))
    for folder in {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}:
        for path in sorted(Path(folder).rglob("*")):
            inside = path.relative_to(folder).parts
            if path.is_dir() or LEFT_OUT.intersection(inside) or inside[0].startswith("config-"):
                continue
            if not any(part.startswith("_tkinter") for part in inside):
                tree.take(path)


def _ours(tree: Tree) -> None:
    for path in sorted(VENV.rglob("*")):
        inside = path.relative_to(VENV).parts
        if path.is_dir() or "__pycache__" in inside or inside[-1].startswith(("activate", "Activ")):
            continue
        if inside[0] == "bin" and not (inside[-1] == "outrider" or inside[-1].startswith("python")):
            continue
        tree.take(path)
    (tree.root / "usr/local/bin").mkdir(parents=True, exist_ok=True)
    (tree.root / "usr/local/bin/outrider").symlink_to(VENV / "bin/outrider")


def _nft(tree: Tree) -> None:
    """At one path whatever the base's, with the one capability it needs, for who lacks root."""
    found = shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if found is None:
        raise SystemExit("there is no nft in the build stage")
    target = tree.root / NFT.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    tree.taken.add(Path(found))
    shutil.copyfile(found, target)
    target.chmod(0o755)


def _libraries(tree: Tree) -> None:
    loader = _loader()
    tree.take(Path(loader))
    for path in sorted(path for path in tree.root.rglob("*") if _is_elf(path)):
        # asked of the file where it stands in this stage: its own neighbours are found there
        here = Path("/") / path.relative_to(tree.root)
        for library in _links_to(loader, here if here.exists() else path):
            tree.take(library)


def _system(tree: Tree) -> None:
    for name, content in FILES.items():
        tree.write(name, content)
    tree.take(CERTIFICATES)
    for name in ("proc", "sys", "dev", "etc/outrider", "run", "var/lib"):
        (tree.root / name).mkdir(mode=0o755, parents=True, exist_ok=True)
    configuration = Path("/etc/ld.so.conf")
    if configuration.exists():
        tree.write("etc/ld.so.conf", "/usr/local/lib\n")
    subprocess.run(["ldconfig", "-r", str(tree.root)], check=True)  # noqa: S603, S607
    for name in ("etc/ld.so.conf", "var/cache/ldconfig/aux-cache"):
        (tree.root / name).unlink(missing_ok=True)


def _compiled(tree: Tree) -> None:
    """Bytecode beside every source, trusted as it is: nothing here changes any more."""
    done = compileall.compile_dir(
        tree.root,
        maxlevels=40,
        quiet=1,
        stripdir=str(tree.root),
        prependdir="/",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        workers=1,
    )
    if not done:
        raise SystemExit("not every module compiles")


def main(root: Path) -> None:
    root.mkdir(mode=0o755)
    tree = Tree(root)
    _python(tree)
    _ours(tree)
    tree.take(OPA)
    _nft(tree)
    _libraries(tree)
    _system(tree)
    _compiled(tree)
    debian = sbom.debian_packages(Path("/var/lib/dpkg"), tree.taken)
    tree.write(BILL, sbom.written(sbom.bill(sbom.Pins.read(Path(), sbom.given()), debian)))
    os.setxattr(root / NFT.relative_to("/"), "security.capability", NET_ADMIN)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
