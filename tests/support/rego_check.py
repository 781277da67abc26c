"""`python -m tests.support.rego_check`: the shipped Rego under OPA's own and Regal's checks.

Each tool that is not on the machine is named and left out; what is there must find nothing.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from outrider.config.load import cache_dir
from outrider.core.errors import ConfigError
from outrider.policy.opa_install import OpaPlaces, find

REGO = Path(__file__).resolve().parents[2] / "rego"
REGAL_VERSION = "0.42.0"
_MODULE = "module regal\n\ngo 1.26\n"


def _run(title: str, *words: str | Path) -> bool:
    done = subprocess.run(
        [str(word) for word in words], cwd=REGO, capture_output=True, text=True, check=False
    )
    said = (done.stdout + done.stderr).strip()
    fine = done.returncode == 0 and not (title == "opa fmt" and done.stdout.strip())
    print(f"{'ok  ' if fine else 'FAIL'} {title}" + ("" if fine else f"\n{said}"))
    return fine


def regal() -> Path | None:
    """Regal, built once into the cache by a module of our own, where Go is there."""
    found = cache_dir(os.environ) / "regal" / REGAL_VERSION / "regal"
    if found.exists():
        return found
    if shutil.which("go") is None:
        return None
    print("==> building regal (once)", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "go.mod").write_text(_MODULE, encoding="utf-8")
        environ = {**os.environ, "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"}
        for words in (
            ("go", "get", "-tool", f"github.com/open-policy-agent/regal@v{REGAL_VERSION}"),
            ("go", "build", "-o", "regal", "github.com/open-policy-agent/regal"),
        ):
            done = subprocess.run(
                words, cwd=folder, env=environ, capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                print(f"no regal: {done.stderr.strip().splitlines()[-1:]}")
                return None
        found.parent.mkdir(parents=True, exist_ok=True)
        part = found.with_suffix(".part")
        shutil.copy2(Path(folder, "regal"), part)
        part.replace(found)
    return found


def main() -> int:
    places = OpaPlaces(cache=cache_dir(os.environ), search_path=os.environ.get("PATH", ""))
    fine = True
    try:
        opa = find(places).path
    except ConfigError as fault:
        print(f"skip opa: {fault}")
    else:
        capabilities = REGO / "capabilities.json"
        fine &= _run("opa fmt", opa, "fmt", "--list", ".")
        fine &= _run(
            "opa check", opa, "check", "--strict", "--bundle", "--capabilities", capabilities,
            "--ignore", "system", ".",
        )  # fmt: skip
        fine &= _run("opa check system", opa, "check", "--strict", "system")
        fine &= _run("opa test", opa, "test", "--bundle", ".")
    linter = regal()
    if linter is None:
        print("skip regal: it is not here and cannot be built")
    else:
        fine &= _run("regal lint", linter, "lint", ".")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
