"""What the image is made of is written down once: the locks, the pins, the bill of materials."""

import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from outrider.policy.opa_install import RECOMMENDED

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "deploy" / "image"
CONTAINERFILE = (FOLDER / "Containerfile").read_text()
BILL = orjson.loads((FOLDER / "sbom.cdx.json").read_bytes())


@pytest.mark.parametrize("script", ["locks.py", "sbom.py"])
def test_what_a_script_writes_is_what_stands_in_the_repository(script: str) -> None:
    done = subprocess.run(
        [sys.executable, FOLDER / script, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["BASE", "OPA"])
def test_every_image_it_starts_from_is_pinned_by_digest(name: str) -> None:
    reference = re.findall(rf"^ARG {name}=(\S+)$", CONTAINERFILE, re.MULTILINE)
    assert len(reference) == 1
    assert re.fullmatch(r"[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}", reference[0])


def test_no_stage_starts_from_anything_else() -> None:
    froms = re.findall(r"^FROM (\S+)", CONTAINERFILE, re.MULTILINE)
    assert froms == ["${OPA}", "${BASE}", "scratch"]


def test_the_opa_of_the_image_is_the_one_the_proxy_recommends() -> None:
    assert f"openpolicyagent/opa:{RECOMMENDED}-static@" in CONTAINERFILE


def test_the_bill_names_every_locked_wheel_with_its_hashes() -> None:
    wheels = [one for one in BILL["components"] if one.get("purl", "").startswith("pkg:pypi/")]
    locked = re.findall(
        r"^([a-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE
    )
    named = {one["name"] for one in wheels}
    assert named >= set(locked) - {"colorama"}  # of Windows alone
    assert "colorama" not in named
    assert all(one["externalReferences"][0]["hashes"] for one in wheels)


def test_each_part_stands_in_the_bill_once_and_ours_depends_on_it() -> None:
    references = [one["bom-ref"] for one in BILL["components"]]
    assert len(references) == len(set(references))
    assert BILL["dependencies"][0]["dependsOn"] == sorted(references)


def test_pip_is_never_let_off_a_hash() -> None:
    installs = re.findall(r"install (?:[^&|]|\\\n)*", CONTAINERFILE)
    ours = [one for one in installs if "--no-compile" in one]
    assert len(ours) == 2
    assert all("--require-hashes" in one or "--no-index" in one for one in ours)
