"""Manifests are read as kubectl reads them, and written so that every reader agrees."""

import pytest
import yaml

from outrider.config.manifests import as_yaml, read_manifests
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json

STREAM = """\
# above the first
a: 1   # beside

---
# Source: chart/b.yaml
b: {c: [1, 2]}
---
---
# nothing but a comment
--- # a mark with a comment
c: |
  ---not a mark
  text
...
"""


def test_a_stream_is_cut_and_comes_together_again() -> None:
    documents = read_manifests(STREAM)
    assert "".join(one.text for one in documents) == STREAM
    assert [one.value for one in documents] == [
        {"a": 1},
        {"b": {"c": [1, 2]}},
        None,
        None,
        {"c": "---not a mark\ntext\n"},
    ]


@pytest.mark.parametrize("text", ["", "\n", "# a comment\n", "---\n", "---", "%YAML 1.1\n---\n"])
def test_what_says_nothing_is_no_document(text: str) -> None:
    documents = read_manifests(text)
    assert "".join(one.text for one in documents) == text
    assert [one.value for one in documents if one.value is not None] == []


@pytest.mark.parametrize(
    ("text", "head"),
    [
        pytest.param("# kept\n\nx: 1 # lost\n", "# kept\n\n", id="comments-above"),
        pytest.param("---\n# kept\nx: 1\n", "---\n# kept\n", id="mark"),
        pytest.param("--- # kept\r\nx: 1\r\n", "--- # kept\r\n", id="windows"),
        pytest.param("--- {x: 1}\n", "---\n", id="on-the-marks-line"),
        pytest.param("x: 1", "", id="bare"),
    ],
)
def test_a_changed_document_keeps_its_mark_and_the_comments_above_it(text: str, head: str) -> None:
    (document,) = read_manifests(text)
    assert document.rewritten({"z": 2}) == f"{head}z: 2\n"


def test_json_stays_json() -> None:
    (document,) = read_manifests(' {"kind": "Pod",\n"x": 1e3}\n')
    assert document.value == {"kind": "Pod", "x": 1000.0}
    assert document.rewritten({"a": [1]}) == '{\n  "a": [\n    1\n  ]\n}\n'


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1:30", "1:30"),
        ("8080:30", "8080:30"),
        ("2026-01-01", "2026-01-01"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("on", True),
        ("y", True),
        ("No", False),
        ("~", None),
        ("", None),
        ("0644", 420),
        ("0o644", 420),
        ("0x1F", 31),
        ("0b11", 3),
        ("-7", -7),
        ("1_000", 1000),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("08", 8.0),
        ("1.2.3", "1.2.3"),
        ("'on'", "on"),
        ("yesterday", "yesterday"),
        ("=", "="),
    ],
)
def test_scalars_are_what_kubernetes_takes_them_for(written: str, value: Json) -> None:
    assert read_manifests(f"k: {written}\n")[0].value == {"k": value}


@pytest.mark.parametrize(
    "text",
    ["on", "y", "NO", "null", "~", "1e3", "0o17", "0x1", "1:30", "2026-01-01", "", " a", "a: b",
     "-", "#x", "é", "=", "<<", "1_0", ".inf", "{}", "@x", "a\nb\n", "a\n\n", "\ta\nb", "$$(X)"],
)  # fmt: skip
def test_text_is_written_so_that_nobody_takes_it_for_something_else(text: str) -> None:
    written = as_yaml({"k": text, text or "e": 1})
    assert read_manifests(written)[0].value == {"k": text, text or "e": 1}
    assert yaml.safe_load(written)["k"] == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("a: 1\na: 2\n", "document 1, line 2: not YAML: 'a' stands twice", id="twice"),
        pytest.param("x: 1\n---\n[a]: 1\n", "document 2, line 2: not YAML: a key", id="key"),
        pytest.param("a: [\n", "document 1, line 2", id="unclosed"),
        pytest.param("a: !!python/object:os.system x\n", "document 1, line 1", id="tag"),
        pytest.param("a: !!binary aGk=\n", "holds what JSON cannot: bytes", id="binary"),
        pytest.param("a: " + "[" * 70 + "]" * 70, "deeper than 64", id="deep"),
        pytest.param("a: &a [*a]\n", "deeper than 64", id="in-itself"),
        pytest.param('{"a": 1, "a": 2}', "stands twice", id="json-twice"),
        pytest.param(f"a: {'9' * 5000}", "not YAML that can be read", id="endless-number"),
        pytest.param("a: &x b\n*x : 1\nb: 2\n", "stands twice", id="by-alias"),
    ],
)
def test_what_cannot_be_read_in_one_way_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_manifests(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("key", "doubted"),
    [("1", False), ("true", False), ("null", False)]
    + [(key, True) for key in ("y", "on", "0x10", "~", "True", "1.0")],
)
def test_a_key_that_readers_differ_over_is_told(key: str, doubted: bool) -> None:
    (document,) = read_manifests(f"{key}: 1\n")
    assert document.value == {key: 1}
    assert (
        document.doubt == f"document 1, line 1: the key {key!r} is no text; quote it"
    ) is doubted


def test_aliases_do_not_multiply_without_end() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match="more than 500000 values"):
        read_manifests("\n".join(lines))


def test_anchors_and_merges_are_read_and_written_out() -> None:
    (document,) = read_manifests("a: &a {x: 1}\nb: {<<: *a, z: 2}\nc: *a\n")
    assert document.value == {"a": {"x": 1}, "b": {"x": 1, "z": 2}, "c": {"x": 1}}
    assert "&" not in as_yaml(document.value)
