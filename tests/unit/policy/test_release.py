"""Releases: revision, ownership by path, agents with their grants, and the bundle OPA gets."""

import orjson
import pytest

from outrider.config.paths import shipped_rego
from outrider.core.errors import ConfigError
from outrider.policy.archive import Packed, read_tree, write_archive
from outrider.policy.release import built, bundle_bytes, load
from outrider.policy.signature import UnverifiedError
from outrider.policy.trust import Trust
from tests.support.bundles import SCOPE, a_signing_key, bundle_files, signed
from tests.support.policy import ALLOW_ALL, TRIAGE, a_release, a_tree, write_tree

AGENT = "spiffe://acme.test/ns/support/sa/triage"


def test_the_shipped_library_loads():
    release = load(shipped_rego())
    assert release.codes
    assert release.fixtures
    assert AGENT in release.agents
    assert not [name for name in release.modules if name.endswith("_test.rego")]


def test_the_revision_names_the_content(tmp_path):
    root = write_tree(tmp_path, {"outrider/main.rego": ALLOW_ALL})
    before = load(root)
    assert load(root).revision == before.revision == before.digest[:12]
    write_tree(root, {"outrider/tiers/data.yaml": "low: {}\n"})
    assert load(root).revision != before.revision


def test_tests_are_not_part_of_the_content(tmp_path):
    root = write_tree(tmp_path, {"outrider/main.rego": ALLOW_ALL})
    before = load(root).revision
    write_tree(root, {"outrider/main_test.rego": "package outrider_test\n"})
    assert load(root).revision == before


def test_a_built_bundle_keeps_its_own_revision_unless_something_is_laid_over(tmp_path):
    files = {
        "outrider/main.rego": ALLOW_ALL.encode(),
        ".manifest": b'{"revision": "2026-11-21.3", "metadata": {"sequence": 7}}',
    }
    bundle = tmp_path / "bundle.tar.gz"
    bundle.write_bytes(write_archive(files))
    assert load(bundle).revision == "2026-11-21.3"
    assert load(bundle).metadata == {"sequence": 7}
    over = write_tree(tmp_path / "over", {"outrider/tiers/data.yaml": "low: {}\n"})
    assert load(bundle, [over]).revision.startswith("2026-11-21.3+")
    opened = write_tree(tmp_path / "opened", files)
    assert load(opened).revision.startswith("2026-11-21.3+")


@pytest.mark.parametrize(
    ("said", "sequence"),
    [(7, 7), (0, 0), (-1, None), (True, None), ("7", None), (1.0, None), (None, None)],
)
def test_a_sequence_is_a_whole_number(said, sequence):
    assert a_release(declared={"metadata": {"sequence": said}}).sequence == sequence


def fetched(files, *, overlays=()):
    key = a_signing_key()
    trust = Trust(keys=lambda: {key.id: key.verifying}, scope=SCOPE)
    packed = write_archive(signed(files))
    release = load(Packed(name="https://p.test/b", content=packed), overlays, trust=trust)
    return release, packed


def test_what_was_fetched_is_proved_and_kept_as_it_was_signed(tmp_path):
    tree = write_tree(
        tmp_path / "t", {"outrider/main.rego": ALLOW_ALL, "fixtures/a.yaml": "a: 1\n"}
    )
    plain = read_tree(Packed(name="b", content=bundle_bytes(built(tree, sequence=3, revision="v"))))
    release, packed = fetched(plain)
    assert (release.signed.key, release.sequence) == ("release", 3)
    assert release.as_signed == packed
    assert release.fixtures == {"fixtures/a.yaml": {"a": 1}}
    over = write_tree(tmp_path / "o", {"outrider/x/data.yaml": "a: 1\n"})
    laid, _ = fetched(plain, overlays=[over])
    # OPA would find in the bundle what is not in force here
    assert (laid.signed.key, laid.as_signed) == ("release", b"")


def test_what_engines_would_read_otherwise_is_not_kept_as_it_was_signed():
    assert fetched(bundle_files())[0].as_signed == b""  # no revision in its data
    files = {**bundle_files(), "outrider/x/data.yaml": b"a: 1\n"}
    assert fetched(files)[0].as_signed == b""


def test_a_compiled_policy_among_the_files_is_proved_and_passed_over():
    files = {**bundle_files(), "policy.wasm": b"\0asm\1\0\0\0"}
    assert fetched(files)[0].modules.keys() == {"outrider/main.rego"}
    key = a_signing_key()
    trust = Trust(keys=lambda: {key.id: key.verifying}, scope=SCOPE)
    more = write_archive({**signed(bundle_files()), "policy.wasm": b""})
    with pytest.raises(UnverifiedError, match=r"'policy\.wasm' is not part of"):
        load(Packed(name="b", content=more), trust=trust)


def test_without_trust_nothing_is_proved():
    assert load(Packed(name="b", content=write_archive(signed(bundle_files())))).signed is None


def test_a_build_is_named_by_its_content_and_what_it_is_told(tmp_path):
    tree = write_tree(tmp_path, {"outrider/main.rego": ALLOW_ALL})
    plain, numbered = (built(tree, sequence=n, revision=None) for n in (None, 3))
    assert plain.revision == numbered.revision == load(tree).revision
    assert (plain.sequence, numbered.sequence) == (None, 3)
    assert built(tree, sequence=3, revision="v1").revision == f"v1+{plain.revision}"


def test_policy_reads_the_revision_that_the_release_has(tmp_path):
    release = load(write_tree(tmp_path, {"outrider/main.rego": ALLOW_ALL}))
    assert release.data["outrider"]["build"] == {"revision": release.revision}


def test_the_bundle_is_deterministic_and_holds_modules_data_and_manifest(tmp_path):
    release = a_release(data={"tiers": {"b": 1, "a": 2}}, revision="r7")
    packed = bundle_bytes(release)
    assert bundle_bytes(release) == packed
    place = tmp_path / "b.tar.gz"
    place.write_bytes(packed)
    files = read_tree(place)
    assert sorted(files) == [".manifest", "data.json", "outrider/main.rego"]
    assert orjson.loads(files[".manifest"])["revision"] == "r7"
    assert orjson.loads(files["data.json"])["outrider"]["tiers"] == {"a": 2, "b": 1}


def _built(tmp_path, **changes):
    """The library as it is built, with files of the bundle changed; None takes one out."""
    place = tmp_path / "built.tar.gz"
    place.write_bytes(bundle_bytes(load(shipped_rego())))
    files = read_tree(place)
    for name, content in changes.items():
        files.pop(name, None)
        if content is not None:
            files[name] = content
    place.write_bytes(write_archive(files))
    return place


def _data(**changes):
    release = load(shipped_rego())
    return orjson.dumps({"outrider": {**release.data["outrider"], **changes}})


def test_what_was_built_loads_as_what_it_was_built_from(tmp_path):
    release, built = load(shipped_rego()), load(_built(tmp_path))
    assert (built.revision, built.data) == (release.revision, release.data)
    assert (built.modules, built.codes) == (release.modules, release.codes)
    assert built.agents == release.agents
    assert bundle_bytes(built) == bundle_bytes(release)


def test_what_was_built_and_laid_over_has_a_revision_of_its_own(tmp_path):
    over = write_tree(tmp_path / "over", {"outrider/desk/data.yaml": "low: {}\n"})
    built = load(_built(tmp_path), [over])
    assert built.revision != load(shipped_rego()).revision
    assert built.data["outrider"]["build"] == {"revision": built.revision}


def test_what_was_built_from_a_tree_and_overlays_has_their_revision(tmp_path):
    over = write_tree(tmp_path / "over", {"outrider/desk/data.yaml": "low: {}\n"})
    laid = load(shipped_rego(), [over])
    place = tmp_path / "laid.tar.gz"
    place.write_bytes(bundle_bytes(laid))
    assert load(place).revision == laid.revision
    assert load(place).data == laid.data


@pytest.mark.parametrize(
    ("files", "told"),
    [
        pytest.param(
            {"data.json": _data(build={"revision": "r0"})}, "outrider.build is", id="another-name"
        ),
        pytest.param(
            {"data.json": _data(build={"revision": None, "x": 1})}, "outrider.build is", id="more"
        ),
        pytest.param(
            {"data.json": _data(catalogue={})}, "outrider.catalogue is", id="another-catalogue"
        ),
        pytest.param({"controls.yaml": None}, "build the bundle again", id="by-an-older-version"),
        pytest.param({".manifest": b"{}"}, "outrider.build is", id="no-manifest"),
    ],
)
def test_what_only_the_loader_makes_is_believed_of_nobody(tmp_path, files, told):
    with pytest.raises(ConfigError, match=told):
        load(_built(tmp_path, **files))


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        pytest.param(
            "outrider/rules/desk/x.rego", "package outrider\n\ndecision := true\n",
            "x.rego:1: package outrider in the folder of outrider.rules.desk",
            id="a-stray-package-outrider",
        ),
        pytest.param("outrider/a/x.rego", "package outrider.b\n", "package outrider.b", id="other"),
        pytest.param("outrider/a/x.rego", 'package outrider["a"]\n', "plain dotted", id="brackets"),
        pytest.param("outrider/a/x.rego", "x := 1\npackage outrider.a\n", "plain", id="not-first"),
        pytest.param("outrider/a/x.rego", "# nothing\n", "plain", id="no-package"),
        pytest.param("outrider/a/x.rego", "package outrider.a_test\n", "package", id="no-test"),
        pytest.param("outrider/task.rego", "package outrider.task\n", "package", id="no-index"),
    ],
)  # fmt: skip
def test_ownership_is_by_path(name, text, told):
    with pytest.raises(ConfigError, match="(?s)" + told):
        a_release({"outrider/main.rego": ALLOW_ALL, name: text})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("outrider/a/x.rego", "# said first\n\npackage outrider.a # own\n", id="own"),
        pytest.param("outrider/controls.rego", "package outrider.controls\n", id="index"),
    ],
)
def test_a_package_of_its_folder_loads(name, text):
    assert name in a_release({"outrider/main.rego": ALLOW_ALL, name: text}).modules


def test_codes_come_from_metadata_and_from_the_catalogue():
    text = (
        "# METADATA\n# title: x\n# custom:\n#   refs: []\n# id: SQ-04\n"
        + ALLOW_ALL
        + '\n# id: NOT-1\n# METADATA\n# id: "EF-01"\nx := 1\n'
    )
    release = a_release(text, catalogue=[{"id": "TS-02", "refs": ["ASI01"]}])
    assert release.codes == {"SQ-04", "EF-01", "TS-02"}
    assert release.data["outrider"]["catalogue"]["TS-02"]["refs"] == ["ASI01"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"status": "asleep"}, "status is 'asleep'; give one of active", id="status"),
        pytest.param({"tier": "vip"}, "tier is 'vip'", id="tier"),
        pytest.param({"owner": None}, "owner is missing", id="no-owner"),
        pytest.param({"owner": 7}, "owner is 7", id="owner-number"),
        pytest.param({"grant": []}, r"\.grant: a grant is a map", id="grant-list"),
        pytest.param({"grant": {"calls": -3}}, r"grant\.calls is -3", id="bound"),
    ],
)
def test_an_agent_that_cannot_be_held_to_its_entry_fails_the_load(changes, told):
    with pytest.raises(ConfigError, match=rf"data\.outrider\.agents\['{AGENT}'\].*{told}"):
        a_release(data={"agents": {AGENT: TRIAGE | changes}})


def test_an_agents_grant_is_parsed_when_the_release_is_loaded():
    grant = {"tools": ["crm/*"], "effects": ["read"], "destinations": [], "sensitivity": "internal"}
    release = a_release(data={"agents": {AGENT: TRIAGE | {"grant": grant}, "b": TRIAGE}})
    assert release.agents[AGENT].grant.tools == ("crm/*",)
    assert release.agents["b"].grant is None


@pytest.mark.control("IR-01")
def test_production_demands_the_whole_entry(tmp_path):
    root = write_tree(
        tmp_path,
        {
            "outrider/main.rego": ALLOW_ALL,
            "outrider/agents/data.json": orjson.dumps({AGENT: TRIAGE}),
        },
    )
    assert load(root).agents
    with pytest.raises(ConfigError, match="escalation is missing"):
        load(root, complete=True)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"data": {"agents": []}}, id="agents-list"),
        pytest.param({"data": {"build": {"revision": "mine"}}}, id="own-revision"),
        pytest.param({"data": {"catalogue": {}}}, id="own-catalogue"),
        pytest.param({"data": {"manifest": {"crm": 7}}}, id="manifest"),
        pytest.param({"data": {"agents": {"spiffe://acme.example/a": 7}}}, id="agent-number"),
        pytest.param({"catalogue": [{"refs": []}]}, id="row-without-id"),
        pytest.param({"catalogue": [{"id": "A"}, {"id": "A"}]}, id="row-twice"),
    ],
)
def test_what_the_loader_cannot_read_is_refused(changes):
    with pytest.raises(ConfigError):
        a_release(**changes)


def test_a_revision_that_is_no_short_text_is_refused(tmp_path):
    root = write_tree(tmp_path, {"outrider/main.rego": ALLOW_ALL, ".manifest": '{"revision": 7}'})
    with pytest.raises(ConfigError, match="revision"):
        load(root)


def test_trees_built_in_memory_are_what_a_release_is_made_of():
    assert a_tree().modules == {"outrider/main.rego": ALLOW_ALL}


def test_templates_are_read_with_the_release(tmp_path):
    files = {
        "outrider/main.rego": ALLOW_ALL,
        "outrider/templates/data.yaml": "triage: {grant: {tools: ['crm/*'], calls: 3}}\n",
    }
    release = load(write_tree(tmp_path, files))
    assert release.templates["triage"].grant.limits.calls == 3


def test_a_template_that_cannot_be_read_fails_the_load_and_names_its_file(tmp_path):
    files = {
        "outrider/main.rego": ALLOW_ALL,
        "outrider/templates/data.yaml": "triage: {grant: {calls: many}}\n",
    }
    with pytest.raises(ConfigError, match=r"templates/data\.yaml: .*triage\.grant\.calls"):
        load(write_tree(tmp_path, files))
