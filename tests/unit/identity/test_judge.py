"""Whom an upstream may be. What is judged in a handshake: test_tls.py, both ends in memory."""

import pytest

from outrider.identity.judge import Expected
from outrider.identity.spiffe_id import SpiffeIdError


@pytest.mark.parametrize(
    ("patterns", "spiffe_id", "covered"),
    [
        pytest.param(["spiffe://a.test/x"], "spiffe://a.test/x", True, id="exact"),
        pytest.param(["spiffe://a.test/x"], "spiffe://a.test/x/y", False, id="exact-not-below"),
        pytest.param(["spiffe://a.test/x"], "spiffe://a.test/X", False, id="SPI-09"),
        pytest.param(["spiffe://a.test/x/*"], "spiffe://a.test/x/y", True, id="below"),
        pytest.param(["spiffe://a.test/x/*"], "spiffe://a.test/x/y/z", True, id="far-below"),
        pytest.param(["spiffe://a.test/x/*"], "spiffe://a.test/x", False, id="not-itself"),
        pytest.param(["spiffe://a.test/x/*"], "spiffe://a.test/xy", False, id="whole-segments"),
        pytest.param(["spiffe://a.test/*"], "spiffe://a.test/x", True, id="domain"),
        pytest.param(["spiffe://a.test/*"], "spiffe://a.test.evil/x", False, id="longer-domain"),
        pytest.param(
            ["spiffe://a.test/x", "spiffe://b.test/y"], "spiffe://b.test/y", True, id="second"
        ),
    ],
)
def test_expected_covers_what_was_written(patterns: list[str], spiffe_id: str, covered: bool):
    assert Expected(patterns).covers(spiffe_id) is covered


@pytest.mark.parametrize(
    "patterns",
    [
        pytest.param([], id="nobody"),
        pytest.param(["spiffe://a.test"], id="a-trust-domain"),
        pytest.param(["spiffe://a.test/x*"], id="half-a-segment"),
        pytest.param(["spiffe://a.test/*/x"], id="star-in-the-middle"),
        pytest.param(["spiffe://*/x"], id="any-domain"),
        pytest.param(["*"], id="anyone"),
        pytest.param(["spiffe://a.test/x/"], id="trailing-slash"),
        pytest.param(["spiffe://a.test/ok", "https://a.test/"], id="one-of-two"),
        pytest.param(["spiffe://a.test/x\n"], id="newline"),
    ],
)
def test_what_expected_does_not_know_is_an_error(patterns: list[str]):
    with pytest.raises(SpiffeIdError):
        Expected(patterns)
