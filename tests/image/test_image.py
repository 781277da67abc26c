"""The image as a container runtime gets it: what is in it, what is not, who may do what."""

import orjson
import pytest

from outrider.policy.opa_install import MINIMUM, RECOMMENDED
from tests.support.containers import Done, Podman

pytestmark = [pytest.mark.image, pytest.mark.timeout(900)]

PYTHON = "/opt/outrider/bin/python"
STRICT = ("--rm", "--read-only", "--read-only-tmpfs=false", "--network=none", "--cap-drop=all",
          "--security-opt=no-new-privileges")  # fmt: skip
"""As the injector writes it: nothing that could be gained, nowhere to write."""

SHELLS_AND_MANAGERS = {
    "sh", "bash", "dash", "ash", "zsh", "busybox", "env", "perl", "curl", "wget", "pip", "pip3",
    "apt", "apt-get", "dpkg", "apk", "rpm", "su", "sudo", "mount", "setpriv", "capsh", "gdb",
}  # fmt: skip

WALK = """
import json, os, stat
found = []
for folder, _, names in os.walk("/"):
    if folder.split("/")[1] in ("proc", "sys", "dev"):
        continue
    for name in [*names, ""]:
        path = os.path.join(folder, name) if name else folder
        told = os.lstat(path)
        found.append([path, told.st_mode, told.st_uid, os.listxattr(path, follow_symlinks=False)])
print(json.dumps(found))
"""


def ran(engine: Podman, image: str, *command: str, options: tuple[str, ...] = STRICT) -> Done:
    return engine.run("run", *options, "--entrypoint", command[0], image, *command[1:])


@pytest.fixture(scope="session")
def files(engine: Podman, image: str) -> list[tuple[str, int, int, list[str]]]:
    said = ran(engine, image, PYTHON, "-c", WALK, options=(*STRICT, "--user=0")).checked()
    return [tuple(row) for row in orjson.loads(said)]


def test_it_says_its_version_with_nothing_to_write_on_and_no_capability(
    engine: Podman, image: str
) -> None:
    done = engine.run("run", *STRICT, image, "--version")
    assert "outrider" in done.checked().lower()


def test_it_knows_the_revision_it_was_built_from(engine: Podman, image: str) -> None:
    program = "from outrider.config.paths import build_revision\nprint(build_revision())"
    assert ran(engine, image, PYTHON, "-c", program).checked().strip() == image.rpartition(":")[2]


def test_every_module_is_imported_on_a_read_only_root(engine: Podman, image: str) -> None:
    program = (
        "import pkgutil, importlib, outrider\n"
        "names = [one.name for one in pkgutil.walk_packages(outrider.__path__, 'outrider.')]\n"
        "names = [one for one in names if '.scripts.' not in one and '__main__' not in one]\n"
        "[importlib.import_module(one) for one in names]\n"
        "print(len(names))"
    )
    assert int(ran(engine, image, PYTHON, "-W", "error", "-c", program).checked()) > 200


def test_it_runs_as_its_own_user_by_default(engine: Podman, image: str) -> None:
    told = orjson.loads(engine.run("image", "inspect", image).checked())[0]["Config"]
    assert told["User"] == "2102:2102"
    assert told["Entrypoint"] == ["/usr/local/bin/outrider"]
    said = ran(engine, image, PYTHON, "-c", "import os; print(os.getuid(), os.getgid())")
    assert said.checked().split() == ["2102", "2102"]


def test_the_only_file_with_a_capability_is_nft_and_it_has_that_of_the_network_alone(
    engine: Podman, image: str, files: list[tuple[str, int, int, list[str]]]
) -> None:
    capable = [path for path, _, _, names in files if "security.capability" in names]
    assert capable == ["/usr/bin/nft"]
    program = "import os; print(os.getxattr('/usr/bin/nft', 'security.capability').hex())"
    held = ran(engine, image, PYTHON, "-c", program).checked().strip()
    # revision 2, effective; CAP_NET_ADMIN is bit 12 of the permitted set; nothing inheritable
    assert held == "01000002" + "00100000" + "00000000" * 3


def test_there_is_no_shell_no_package_manager_and_nothing_setuid(
    files: list[tuple[str, int, int, list[str]]],
) -> None:
    names = {path.rpartition("/")[2] for path, mode, _, _ in files if mode & 0o111}
    assert len(files) > 2000
    assert names.isdisjoint(SHELLS_AND_MANAGERS)
    assert [
        path for path, mode, _, _ in files if mode & 0o170000 != 0o120000 and mode & 0o6000
    ] == []


def test_nothing_but_its_two_folders_is_its_users_to_write(
    files: list[tuple[str, int, int, list[str]]],
) -> None:
    plain = [
        row for row in files if row[1] & 0o170000 != 0o120000 and row[0] != "/run/.containerenv"
    ]
    assert {path for path, _, uid, _ in plain if uid == 2102} == {
        "/run/outrider", "/var/lib/outrider",
    }  # fmt: skip
    assert [path for path, mode, _, _ in plain if mode & 0o002] == []


def test_the_programs_of_the_image_are_the_four_it_is_for(
    files: list[tuple[str, int, int, list[str]]],
) -> None:
    folders = (
        "/usr/local/bin/",
        "/usr/bin/",
        "/usr/sbin/",
        "/bin/",
        "/sbin/",
        "/opt/outrider/bin/",
    )
    found = {path for path, _, _, _ in files if path.startswith(folders)}
    pythons = {path for path in found if path.rpartition("/")[2].startswith("python3")}
    assert found - pythons == {
        "/usr/local/bin/opa", "/usr/local/bin/outrider", "/usr/bin/nft",
        "/opt/outrider/bin/outrider", "/opt/outrider/bin/python",
    }  # fmt: skip


def test_its_opa_is_the_recommended_one(engine: Podman, image: str) -> None:
    said = ran(engine, image, "/usr/local/bin/opa", "version").checked()
    version = said.partition("Version: ")[2].split()[0]
    assert tuple(map(int, version.split("."))) >= MINIMUM
    assert version == RECOMMENDED


def test_every_source_has_its_bytecode_and_nothing_is_compiled_at_start(
    engine: Podman, image: str, files: list[tuple[str, int, int, list[str]]]
) -> None:
    paths = {path for path, _, _, _ in files}
    sources = [path for path in paths if path.endswith(".py")]
    tag = next(path for path in paths if path.endswith(".pyc")).split(".")[-2]

    def compiled(path: str) -> str:
        folder, _, name = path.rpartition("/")
        return f"{folder}/__pycache__/{name.removesuffix('.py')}.{tag}.pyc"

    assert [path for path in sources if compiled(path) not in paths] == []
    program = "import outrider.cli.main, sys; print(outrider.cli.main.__cached__)"
    cached = ran(engine, image, PYTHON, "-c", program).checked().strip()
    flags = f"print(open({cached!r}, 'rb').read(8)[4:].hex())"
    assert ran(engine, image, PYTHON, "-c", flags).checked().strip() == "01000000"  # unchecked hash


def test_nft_cannot_even_be_started_where_the_network_capability_is_not_to_be_had(
    engine: Podman, image: str
) -> None:
    done = ran(engine, image, "/usr/bin/nft", "list", "ruleset")
    assert done.code != 0
    assert "operation not permitted" in done.err.lower()


def test_nft_loads_rules_where_it_is(engine: Podman, image: str) -> None:
    options = ("--rm", "--read-only", "--network=none", "--cap-drop=all", "--cap-add=NET_ADMIN",
               "--user=65534:65534")  # fmt: skip
    done = ran(engine, image, "/usr/bin/nft", "add table inet t; list tables", options=options)
    assert done.checked().strip() == "table inet t"


def test_its_bill_of_materials_names_every_distribution_in_it(engine: Podman, image: str) -> None:
    program = (
        "import json, re\n"
        "from importlib.metadata import distributions\n"
        "bill = json.load(open('/usr/share/outrider/sbom.cdx.json'))\n"
        "plain = lambda name: re.sub('[-_.]+', '-', name).lower()\n"
        "have = {(plain(one.name), one.version) for one in distributions()}\n"
        "print(json.dumps([sorted(map(list, have)), bill['components']]))"
    )
    have, components = orjson.loads(ran(engine, image, PYTHON, "-c", program).checked())
    wheels = [[one["name"], one["version"]] for one in components if "pypi" in one.get("purl", "")]
    assert sorted(wheels) == [one for one in have if one[0] != "outrider"]
    debian = {one["name"] for one in components if one.get("purl", "").startswith("pkg:deb/")}
    assert {"nftables", "libnftables1", "libc6"} <= debian
    assert "dash" not in debian
