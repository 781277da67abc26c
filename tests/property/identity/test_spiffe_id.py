"""The reader of SPIFFE IDs against one that goes letter by letter."""

import string

from hypothesis import given, strategies as st

from outrider.identity.spiffe_id import SpiffeIdError, parse_spiffe_id

DOMAIN = frozenset(string.ascii_lowercase + string.digits + "._-")
SEGMENT = frozenset(string.ascii_letters + string.digits + "._-")
SCHEME = "spiffe://"


def _holds(text: str) -> bool:
    """SPIFFE-ID §2 and the limits, without a regular expression."""
    if len(text.encode("utf-8", "surrogatepass")) > 2048 or text[: len(SCHEME)] != SCHEME:
        return False
    domain, *segments = text[len(SCHEME) :].split("/")
    if not 1 <= len(domain) <= 255 or not set(domain) <= DOMAIN:
        return False
    return all(
        segment and segment not in {".", ".."} and set(segment) <= SEGMENT for segment in segments
    )


LETTERS = st.sampled_from(
    ["a", "Z", "0", ".", "..", "_", "-", "/", "%41", ":", "@", "?", "#", "\n", "\0", "\u212a", "é"]
)
PIECES = st.lists(LETTERS, max_size=8).map("".join)
GOOD = st.lists(st.sampled_from(["a", "b.c", "d_e", "0", "-", "...", "A"]), max_size=4).map(
    lambda parts: "".join(f"/{part}" for part in parts)
)
SCHEMES = st.sampled_from([SCHEME, SCHEME, SCHEME, "SPIFFE://", "spiffe:/", "https://", ""])
TEXTS = (
    st.builds("{}{}{}".format, SCHEMES, st.sampled_from(["a.test", "A", "", "1.2.3.4", "_"]), GOOD)
    | st.builds("{}a.test{}".format, SCHEMES, PIECES)
    | st.builds("spiffe://{}{}".format, PIECES, GOOD)
    | st.builds(
        "spiffe://{}/{}".format,
        st.integers(253, 257).map("d".__mul__),
        st.integers(1780, 1790).map("p".__mul__),
    )
)


@given(TEXTS)
def test_an_id_is_taken_exactly_where_every_letter_is_in_order(text: str):
    try:
        found = parse_spiffe_id(text)
    except SpiffeIdError:
        assert not _holds(text)
        return
    assert _holds(text)
    assert f"{SCHEME}{found.trust_domain}{found.path}" == text == found.text
