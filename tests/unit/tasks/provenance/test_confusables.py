"""Look-alikes have one skeleton; others have not."""

import pytest

from outrider.tasks.provenance.confusables import skeleton


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("paypal", "p\u0430yp\u0430l"),
        ("paypal", "paypa1"),
        ("google", "g00gle"),
        ("amazon", "arnazon"),
        ("windows", "vvindows"),
        ("scope", "\u0455\u0441\u043e\u0440\u0435"),
        ("alpha", "\u03b1lph\u03b1"),
        ("a-b", "a\u2010b"),
    ],
)
def test_what_looks_alike_has_one_skeleton(one: str, other: str) -> None:
    assert one != other
    assert skeleton(one.encode()) == skeleton(other.encode())


@pytest.mark.parametrize(("one", "other"), [("paypal", "paypai"), ("ab", "ba"), ("c", "e")])
def test_what_does_not_has_its_own(one: str, other: str) -> None:
    assert skeleton(one.encode()) != skeleton(other.encode())


def test_only_texts_and_origins_have_looks() -> None:
    assert skeleton(b"\0n10") == b""
    assert skeleton(b"\0ohttps://a0.example") == b"\0ohttps://ao.example".replace(b"l", b"l")
