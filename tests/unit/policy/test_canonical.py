"""What a signature hashes of a file: the bytes OPA hashes (asked of a real one in integration)."""

import pytest

from outrider.core.errors import ConfigError
from outrider.policy.canonical import hashed_form


@pytest.mark.parametrize(
    ("name", "content", "hashed"),
    [
        pytest.param("a/x.rego", b"package a\n\n", b"package a\n\n", id="a-module-as-it-is"),
        pytest.param("a/x.json", b'{ "a": 1 }', b'{ "a": 1 }', id="json-of-another-name"),
        pytest.param("data.json", b'{"b": 1, "a": {"d": [1, 2], "c": null}}',
                     b'{"a":{"c":null,"d":[1,2]},"b":1}', id="sorted-at-every-depth"),
        pytest.param("a/data.json", b"[1.50, 1e3, -0, 0.1]", b"[1.50,1e3,-0,0.1]",
                     id="numbers-as-written"),
        pytest.param("data.json", b"[true, false, null]", b"[true,false,null]", id="words"),
        pytest.param("data.json", b'"<&>\\u2028\\u0007\\b\\f\\n\\"\\\\\\u00e9\\u007f"',
                     '"<&>\\u2028\\u0007\\b\\f\\n\\"\\\\é\x7f"'.encode(), id="as-go-writes-text"),
        pytest.param(".manifest", b'{"revision": ""}', b'{"revision":""}', id="the-manifest"),
        pytest.param("data.yaml", b"b: 1.50\na: [1.0, 'x', ~]\n", b'{"a":[1,"x",null],"b":1.5}',
                     id="yaml-in-shortest-numbers"),
        pytest.param("data.yaml", b'{"a": 1.50}', b'{"a":1.50}', id="json-in-a-yaml-file"),
        pytest.param("data.yaml", b"", b"null", id="empty-yaml"),
        pytest.param("data.json", '{"\U0001f600": 1, "\ue000": 2}'.encode(),
                     '{"\ue000":2,"\U0001f600":1}'.encode(), id="keys-in-the-order-of-utf-8"),
    ],
)  # fmt: skip
def test_hashes(name, content, hashed):
    assert hashed_form(name, content) == hashed


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("data.json", b"", id="empty"),
        pytest.param("data.json", b"a: 1", id="yaml-in-a-json-file"),
        pytest.param("data.json", b'{"a": 1, "a": 2}', id="a-key-twice"),
        pytest.param("data.yaml", b'{"a": 1, "a": 2}', id="a-key-twice-in-yaml"),
        pytest.param("data.yaml", b"a: yes", id="what-readers-disagree-on"),
        pytest.param("data.yaml", b"\xff", id="no-text"),
        pytest.param("data.json", b"[NaN]", id="no-number"),
    ],
)
def test_refuses_a_document_that_is_none(name, content):
    with pytest.raises(ConfigError):
        hashed_form(name, content)
