"""Trees are read as OPA's bundle mode reads them, strictly; what readers disagree on is refused."""

import os

import pytest

from outrider.core.errors import ConfigError
from outrider.policy.archive import write_archive
from outrider.policy.bundle import read, read_json, read_yaml
from tests.support.policy import ALLOW_ALL, write_tree


def test_a_folder_is_a_path_of_the_data(tmp_path):
    tree = read(
        write_tree(
            tmp_path,
            {
                "outrider/main.rego": ALLOW_ALL,
                "outrider/agents/data.yaml": "a: {owner: x}\n",
                "outrider/manifest/crm/data.json": '{"owner": "team"}',
                "data.json": '{"outrider": {"tiers": {"low": 1}}}',
                "outrider/notes.yaml": "not: read\n",
                "README.md": "not read",
            },
        )
    )
    assert tree.data == {
        "outrider": {
            "agents": {"a": {"owner": "x"}},
            "manifest": {"crm": {"owner": "team"}},
            "tiers": {"low": 1},
        }
    }
    assert list(tree.modules) == ["outrider/main.rego"]


def test_tests_suites_and_fixtures_stand_apart(tmp_path):
    tree = read(
        write_tree(
            tmp_path,
            {
                "outrider/main.rego": ALLOW_ALL,
                "outrider/main_test.rego": "package outrider_test\n",
                "outrider/testing/helpers.rego": "package outrider.testing\n",
                "outrider/main.suite.yaml": "suite: X\n",
                "fixtures/a.yaml": "version: outrider.input/v1\n",
                "system/authz.rego": "package system.authz\n",
            },
        )
    )
    assert list(tree.modules) == ["outrider/main.rego"]
    assert sorted(tree.tests) == ["outrider/main_test.rego", "outrider/testing/helpers.rego"]
    assert list(tree.suites) == ["outrider/main.suite.yaml"]
    assert tree.fixtures == {"fixtures/a.yaml": {"version": "outrider.input/v1"}}


def test_an_overlay_replaces_files_of_the_same_name_and_adds_the_rest(tmp_path):
    base = write_tree(
        tmp_path / "base",
        {
            "outrider/main.rego": ALLOW_ALL,
            "outrider/agents/data.yaml": "sample: {}\n",
            "outrider/tiers/data.yaml": "low: {}\n",
        },
    )
    mine = write_tree(
        tmp_path / "mine",
        {
            "outrider/agents/data.json": '{"own": {}}',
            "outrider/rules/desk/desk.rego": "package outrider.rules.desk\n",
        },
    )
    tree = read(base, [mine])
    assert tree.data["outrider"] == {"agents": {"own": {}}, "tiers": {"low": {}}}
    assert "outrider/rules/desk/desk.rego" in tree.modules


@pytest.mark.parametrize(
    ("files", "told"),
    [
        pytest.param({"other/x.rego": "package other\n"}, "other/x.rego", id="rego-elsewhere"),
        pytest.param({"data.yaml": "other: 1\n"}, "data.other", id="data-elsewhere"),
        pytest.param({"outrider/data.yml": "a: 1\n"}, "outrider/data.yml", id="misnamed"),
        pytest.param({"outrider/data.yaml": "a: 1\na: 2\n"}, "data.yaml:2", id="key-twice"),
        pytest.param({"outrider/data.json": '{"a": 1, "a": 2}'}, "data.json", id="json-key-twice"),
        pytest.param({"outrider/data.yaml": "- 1\n"}, "an object is wanted", id="data-list"),
        pytest.param({"outrider/data.yaml": "a: [\n"}, "data.yaml", id="broken-yaml"),
        pytest.param({"outrider/main.rego": b"\xff"}, "not UTF-8", id="not-utf-8"),
        pytest.param(
            {"outrider/data.yaml": "a: {b: 1}\n", "outrider/a/data.yaml": "b: 2\n"},
            "data.outrider.a.b",
            id="two-files-one-path",
        ),
        pytest.param(
            {"outrider/data.yaml": "a: 1\n", "outrider/a/data.yaml": "b: 2\n"},
            "data.outrider.a",
            id="a-value-where-a-folder-is",
        ),
    ],
)
def test_refuses_with_the_place(tmp_path, files, told):
    with pytest.raises(ConfigError, match="(?s)" + told.replace(".", r"\.")):
        read(write_tree(tmp_path, files))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: yes", id="yes"),
        pytest.param("a: On", id="on"),
        pytest.param("a: n", id="n"),
        pytest.param("no: 1", id="key-no"),
        pytest.param("a: 010", id="octal"),
        pytest.param("a: 0x1f", id="hexadecimal"),
        pytest.param("a: 1_000", id="underscore"),
        pytest.param("a: 1:30", id="sexagesimal"),
        pytest.param("a: .inf", id="infinity"),
        pytest.param("a: 1e999", id="beyond-a-double"),
        pytest.param("a: 9007199254740992", id="beyond-2^53"),
        pytest.param("a: &x 1\nb: *x", id="anchor"),
        pytest.param("a: {b: 1}\nc:\n  <<: {d: 1}\n  <<: {e: 1}", id="merge-twice"),
        pytest.param("a: !!binary aGk=", id="tag"),
        pytest.param("a: !!python/object/apply:os.system [id]", id="python-tag"),
        pytest.param("1: a", id="key-number"),
        pytest.param("true: a", id="key-true"),
        pytest.param("[a]: b", id="key-list"),
        pytest.param("a: 1\n---\nb: 2", id="two-documents"),
        pytest.param("{" + "a: {" * 70 + "}" * 71, id="deep"),
        pytest.param("a: \x07", id="control-character"),
    ],
)
def test_yaml_that_readers_disagree_on_is_refused(text):
    with pytest.raises(ConfigError, match=r"policy\.yaml"):
        read_yaml(text, "policy.yaml")


def test_yaml_is_the_json_it_stands_for():
    text = (
        'a: "yes"\nb: 2026-11-23\nc: [1, -2, 1.5, 1e3, true, null, ~, ]\nd: >-\n  no\n'
        "e: 12:x\nf: 'n'\ng: {}\nh: v1.0\n"
    )
    assert read_yaml(text, "x") == {
        "a": "yes", "b": "2026-11-23", "c": [1, -2, 1.5, 1000.0, True, None, None], "d": "no",
        "e": "12:x", "f": "n", "g": {}, "h": "v1.0",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", ['{"a": NaN}', '{"a": 1', '{"a": 1} x', '{"a": 9007199254740993}', "\ufeff{}"]
)
def test_json_is_read_strictly(text):
    with pytest.raises(ConfigError, match=r"data\.json"):
        read_json(text, "data.json")


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    (tmp_path / "secret.yaml").write_text("a: 1\n")
    root = write_tree(tmp_path / "policy", {"outrider/main.rego": ALLOW_ALL})
    (root / "outrider" / "data.yaml").symlink_to(tmp_path / "secret.yaml")
    with pytest.raises(ConfigError, match="leads out"):
        read(root)


def test_a_mounted_config_map_is_read(tmp_path):
    write_tree(tmp_path / "..2026", {"outrider/main.rego": ALLOW_ALL})
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "outrider").symlink_to("..data/outrider")
    assert list(read(tmp_path).modules) == ["outrider/main.rego"]


def test_what_is_no_regular_file_is_refused(tmp_path):
    root = write_tree(tmp_path, {"outrider/main.rego": ALLOW_ALL})
    os.mkfifo(root / "outrider" / "data.yaml")
    with pytest.raises(ConfigError, match="regular"):
        read(root)


def test_a_missing_tree_is_named(tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        read(tmp_path / "nowhere")


def test_an_archive_reads_like_its_folder(tmp_path):
    files = {"outrider/main.rego": ALLOW_ALL, "outrider/agents/data.yaml": "a: {}\n"}
    folder = read(write_tree(tmp_path / "folder", files))
    packed = tmp_path / "bundle.tar.gz"
    packed.write_bytes(write_archive({name: text.encode() for name, text in files.items()}))
    assert read(packed) == folder


def test_a_data_file_with_nothing_in_it_adds_nothing(tmp_path):
    files = {
        "outrider/main.rego": ALLOW_ALL,
        "outrider/data.yaml": "# nothing yet\n",
        "outrider/limits/data.yaml": "calls: 3\n",
    }
    assert read(write_tree(tmp_path, files)).data == {"outrider": {"limits": {"calls": 3}}}
