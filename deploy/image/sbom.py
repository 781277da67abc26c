"""The image's bill of materials, CycloneDX 1.6 JSON, from the locks and the Containerfile's pins.

    python3 deploy/image/sbom.py          writes deploy/image/sbom.cdx.json
    python3 deploy/image/sbom.py --check  exit 1 where it is not what the pins say

The image carries a bill of its own at /usr/share/outrider/sbom.cdx.json, which also names each
Debian package of the base that a file was taken from. Nothing in it depends on when it is written.
"""  # noqa: INP001 - run by path, also where no package of ours is installed

import json
import os
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent.parent
WRITTEN: Final = HERE / "sbom.cdx.json"
LOCKS: Final = ("requirements.lock", "deploy/image/otel.lock")

_ARG: Final = re.compile(r"^ARG (\w+)=(\S+)$", re.MULTILINE)
_IMAGE: Final = re.compile(r"(?P<name>[^@]+?)(?::(?P<tag>[\w.-]+))?(?:@(?P<digest>sha256:\w{64}))?")
_LOCKED: Final = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^\s;\\]+)(?: ; ([^\\\n]+?))? \\$")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_STATUS_FIELD: Final = re.compile(r"^(Package|Version|Architecture|Source): (.+)$", re.MULTILINE)

Component = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """What an image is made of: our version, the two images it starts from, the locked wheels."""

    version: str
    base: str
    opa: str
    locked: tuple[Component, ...]

    @classmethod
    def read(cls, root: Path, given: Mapping[str, str]) -> "Pins":
        """From the working copy at `root`; `given` are build arguments that stand above it."""
        pins = dict(_ARG.findall((root / "deploy/image/Containerfile").read_text())) | dict(given)
        project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
        locked = [one for lock in LOCKS for one in locked_wheels((root / lock).read_text())]
        return cls(
            version=project["version"],
            base=pins["BASE"],
            opa=pins["OPA"],
            locked=tuple(sorted(locked, key=lambda one: one["bom-ref"])),
        )


def locked_wheels(text: str) -> Iterable[Component]:
    """Each wheel that a lock file names for Linux and CPython, with every hash it may have."""
    for block in re.split(r"\n(?=[a-z0-9])", text):
        match = _LOCKED.match(block.partition("\n")[0])
        if match is None or "win32" in (match[3] or ""):
            continue
        purl = f"pkg:pypi/{match[1]}@{match[2]}"
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": match[1],
            "version": match[2],
            "purl": purl,
            "externalReferences": [
                {
                    "type": "distribution",
                    "url": f"https://pypi.org/project/{match[1]}/{match[2]}/",
                    "hashes": [
                        {"alg": "SHA-256", "content": one} for one in sorted(_HASH.findall(block))
                    ],
                }
            ],
        }


def image(kind: str, reference: str) -> Component:
    """An image that ours was built from."""
    match = _IMAGE.fullmatch(reference)
    if match is None:
        raise SystemExit(f"{reference!r} names no image")
    name, tag, digest = match["name"], match["tag"] or "", match["digest"]
    found: Component = {
        "type": kind,
        "bom-ref": f"image:{reference}",
        "name": name,
        "version": tag,
    }
    if digest is not None:
        short = name.rpartition("/")[2]
        where = f"repository_url={name}" + (f"&tag={tag}" if tag else "")
        found["purl"] = f"pkg:oci/{short}@{digest.replace(':', '%3A')}?{where}"
        found["hashes"] = [{"alg": "SHA-256", "content": digest.removeprefix("sha256:")}]
    return found


def debian_packages(dpkg: Path, taken: Iterable[Path]) -> list[Component]:
    """The Debian packages that own one of the files `taken`, as dpkg's own lists say."""
    wanted = {str(path) for path in taken}
    wanted |= {one.removeprefix("/usr") for one in wanted} | {f"/usr{one}" for one in wanted}
    owners = {
        path.name.removesuffix(".list").partition(":")[0]
        for path in (dpkg / "info").glob("*.list")
        if not wanted.isdisjoint(path.read_text().splitlines())
    }
    found = []
    for paragraph in (dpkg / "status").read_text().split("\n\n"):
        told = dict(_STATUS_FIELD.findall(paragraph))
        if told.get("Package") in owners:
            purl = f"pkg:deb/debian/{told['Package']}@{told['Version']}?arch={told['Architecture']}"
            found.append(
                {
                    "type": "library",
                    "bom-ref": purl,
                    "name": told["Package"],
                    "version": told["Version"],
                    "purl": purl,
                }
            )
    return sorted(found, key=lambda one: one["bom-ref"])


def bill(pins: Pins, debian: Iterable[Component] = ()) -> dict[str, Any]:
    """The whole document. The same pins give the same bytes."""
    ours = f"pkg:pypi/outrider@{pins.version}"
    parts = [
        image("container", pins.base),
        image("application", pins.opa),
        *pins.locked,
        *debian,
    ]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "container",
                "bom-ref": ours,
                "name": "outrider",
                "version": pins.version,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": parts,
        "dependencies": [{"ref": ours, "dependsOn": sorted(one["bom-ref"] for one in parts)}],
    }


def written(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def given() -> dict[str, str]:
    """The build arguments of the Containerfile, where this runs inside it."""
    return {name: os.environ[name] for name in ("BASE", "OPA") if os.environ.get(name)}  # noqa: TID251


def main(arguments: list[str]) -> int:
    text = written(bill(Pins.read(ROOT, {})))
    if arguments == ["--check"]:
        same = WRITTEN.is_file() and WRITTEN.read_text() == text
        if not same:
            sys.stderr.write(f"{WRITTEN} is not what the pins say: run {Path(__file__).name}\n")
        return 0 if same else 1
    WRITTEN.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
