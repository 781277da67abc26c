"""The installer says in a sentence what it lacks, and leaves nothing half done."""

import os
import subprocess
from pathlib import Path

import pytest

from outrider.config.paths import shipped_spire
from tests.support.spire import spire_programs

COMMANDS = (
    "bash",
    "dirname",
    "sort",
    "head",
    "mkdir",
    "mktemp",
    "rm",
    "nice",
    "flock",
    "chmod",
    "mv",
    "sleep",
)


@pytest.fixture
def bin_(tmp_path: Path) -> Path:
    """A path with what any machine has, and no Go."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in COMMANDS:
        found = next(p for p in map(Path, ("/bin", "/usr/bin")) if (p / name).exists())
        (folder / name).symlink_to(found / name)
    return folder


def put(folder: Path, name: str, script: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    program.chmod(0o755)


def installed(bin_: Path) -> tuple[int, str]:
    done = subprocess.run(
        [shipped_spire() / "install.sh"],
        env={"PATH": str(bin_), "OUTRIDER_CACHE": str(bin_.parent / "cache")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == ""
    left = bin_.parent.glob("cache/*")
    assert [path.name for path in left if not path.name.endswith(".lock")] == []
    return done.returncode, done.stderr


def test_without_go_it_says_so(bin_: Path) -> None:
    code, said = installed(bin_)
    assert code == 3
    assert said == (
        "==> SPIRE 1.15.3 cannot be built: there is no `go` on the path; "
        "install Go 1.26.6 or newer (https://go.dev/dl)\n"
    )


@pytest.mark.parametrize("version", ["go1.26.5", "go1.9", "go1.25.12-X:nodwarf5"])
def test_an_older_go_is_named(bin_: Path, version: str) -> None:
    put(bin_, "go", f'[ "$2" = GOVERSION ] && echo {version}')
    code, said = installed(bin_)
    assert code == 3
    assert f"Go is {version[2:]}; 1.26.6 or newer is wanted" in said


def test_without_a_c_compiler_it_says_so(bin_: Path) -> None:
    put(bin_, "go", '[ "$2" = GOVERSION ] && echo go1.27.0-X:jsonv2 || echo gcc -m64')
    code, said = installed(bin_)
    assert code == 3
    assert said.endswith("there is no C compiler (`gcc`); install gcc or clang\n")


def test_a_build_that_fails_leaves_nothing(bin_: Path) -> None:
    put(
        bin_,
        "go",
        '[ "$2" = GOVERSION ] && echo go1.26.6 && exit\n[ "$2" = CC ] && echo gcc && exit\n'
        "echo no network >&2; exit 1",
    )
    put(bin_, "gcc", "")
    code, said = installed(bin_)
    assert code == 1
    assert said.endswith("no network\n")


BUILDS = """
case "$2" in GOVERSION) echo go1.26.6; exit ;; CC) echo gcc; exit ;; esac
[ "$1" = build ] || exit 0
while [ "$1" != -o ]; do shift; done
echo "$3" >> "$OUTRIDER_CACHE/built"
sleep 0.2
printf '#!/bin/sh\\necho 1.15.3-dev-unk\\n' > "$2${3##*/}"
chmod 755 "$2${3##*/}"
"""


def test_two_runs_at_once_build_once_and_what_a_killed_run_left_goes(bin_: Path) -> None:
    put(bin_, "go", BUILDS)
    put(bin_, "gcc", "")
    cache = bin_.parent / "cache"
    (cache / ".spire-1.15.3.killed").mkdir(parents=True)
    environ = {"PATH": str(bin_), "OUTRIDER_CACHE": str(cache)}
    runs = [
        subprocess.Popen([shipped_spire() / "install.sh"], env=environ, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    for run in runs:
        said, _ = run.communicate(timeout=60)
        assert (run.returncode, said.decode()) == (0, f"{cache}/spire-1.15.3\n")
    built = (cache / "built").read_text().split()
    assert built == [f"github.com/spiffe/spire/cmd/spire-{name}" for name in ("server", "agent")]
    assert {path.name for path in cache.iterdir()} == {
        "spire-1.15.3", ".spire-1.15.3.lock", "built",
    }  # fmt: skip


@pytest.mark.spire
def test_what_is_there_is_not_built_again() -> None:
    programs = spire_programs()
    cache = programs.server.parents[1]
    if programs.server.parent.name != "spire-1.15.3":
        pytest.skip("SPIRE is on the path, not in the cache")
    done = subprocess.run(
        [shipped_spire() / "install.sh"],
        env={**os.environ, "PATH": "/bin:/usr/bin", "OUTRIDER_CACHE": str(cache)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (done.stdout, done.stderr) == (f"{programs.server.parent}\n", "")
