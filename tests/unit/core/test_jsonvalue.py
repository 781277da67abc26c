import hashlib
from typing import Any

import pytest
import rfc8785

from outrider.core.jsonvalue import as_list, as_object, canonical, digest, json_digest


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": 1, "a": [True, None, "x"]}, b'{"a":[true,null,"x"],"b":1}'),
        (1.0, b"1"),
        ([1e2, -0.0, 0.5, 1e-7], b"[100,0,0.5,1e-7]"),
        ({"é": "ü"}, '{"é":"ü"}'.encode()),
        ({"\U0001f600": 1, "\ufb33": 2}, '{"\U0001f600":1,"\ufb33":2}'.encode()),
        ("1.5, 2.5", b'"1.5, 2.5"'),
        ("\u007f\u001f\n", '"\u007f\\u001f\\n"'.encode()),
        (2**53 - 1, b"9007199254740991"),
        (None, b"null"),
        (1, b"1"),
        ({}, b"{}"),
    ],
)
def test_canonical_bytes_are_those_of_rfc_8785(value: Any, expected: bytes) -> None:
    assert canonical(value) == expected


@pytest.mark.parametrize("value", [2**53, -(2**53), [2**60], {"a": 2**70}])
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    assert issubclass(rfc8785.CanonicalizationError, ValueError)
    with pytest.raises(rfc8785.CanonicalizationError):
        canonical(value)


def test_digests_are_of_the_canonical_bytes() -> None:
    expected = "sha256:" + hashlib.sha256(b'{"a":1}').hexdigest()
    assert json_digest({"a": 1.0}) == digest(b'{"a":1}') == expected


def test_optional_parts_are_read_as_empty() -> None:
    assert (as_object({"a": 1}), as_object([1]), as_object(None)) == ({"a": 1}, {}, {})
    assert (as_list([1]), as_list({"a": 1}), as_list("x")) == ([1], [], [])
