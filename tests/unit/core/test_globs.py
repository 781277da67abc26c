import pytest

from outrider.core.globs import is_host, parse_glob, parse_host_glob


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("*", "crm/x", True),
        ("*", "fs/file:///a/../b", True),
        ("crm/*", "crm/x", True),
        ("crm/*", "crm/x/y", True),
        ("crm/*", "crm2/x", False),
        ("crm/*", "crm", False),
        ("crm/*", "CRM/x", False),
        ("crm/get_*", "crm/get_ticket", True),
        ("crm/get_*", "crm/get_", True),
        ("crm/get_*", "crm/get_a/b", False),
        ("crm/get_*", "crm/forget_a", False),
        ("*/read", "mail/read", True),
        ("*/read", "mail/x/read", False),
        ("fs/file:///home/u/*", "fs/file:///home/u/a/b.txt", True),
        ("fs/file:///home/u/*", "fs/file:///home/u/../root", False),
        ("fs/file:///home/u/*", "fs/file:///home/u/a/%2e%2E/b", False),
        ("fs/file:///home/u/*", "fs/file:///home/u/.hidden", True),
        ("a/*/c", "a/b/c", True),
        ("a/*/c", "a/../c", False),
        ("a/../c", "a/../c", True),
        ("a/b", "a/b", True),
        ("a/b", "a/b/", False),
    ],
)
def test_a_name_glob_matches(pattern: str, name: str, matches: bool) -> None:
    glob = parse_glob(pattern)
    assert glob.matches(name) is matches
    assert str(glob) == pattern


@pytest.mark.parametrize("pattern", ["a/*b", "a/b*c", "a/**", "*a"])
def test_a_star_stands_only_at_the_end_of_a_segment(pattern: str) -> None:
    with pytest.raises(ValueError, match="end of a segment"):
        parse_glob(pattern)


@pytest.mark.parametrize(
    ("left", "right", "both"),
    [
        ("*", "crm/x", "crm/x"),
        ("crm/*", "*", "crm/*"),
        ("crm/*", "crm/get_*", "crm/get_*"),
        ("crm/a*", "crm/ab*", "crm/ab*"),
        ("crm/a*", "crm/b*", None),
        ("crm/a*", "crm/abc", "crm/abc"),
        ("crm/x", "crm/y", None),
        ("crm/*", "crm/a/b*", "crm/a/b*"),
        ("crm/*", "crm/../b", None),
        ("crm/x", "crm/x/y", None),
        ("*/x", "crm/*", "crm/x"),
        ("a/b/*", "a/b", None),
        ("a/b*", "a/*", "a/b*"),
        ("a/b*/*", "a/bc/d", "a/bc/d"),
        ("a*", "a/*", None),
    ],
)
def test_what_two_globs_share_is_one_glob_or_nothing(
    left: str, right: str, both: str | None
) -> None:
    for one, other in ((left, right), (right, left)):
        met = parse_glob(one).meet(parse_glob(other))
        assert (None if met is None else str(met)) == both


@pytest.mark.parametrize(
    ("pattern", "host", "matches"),
    [
        ("*", "anything.example", True),
        ("*.acme.test", "a.acme.test", True),
        ("*.acme.test", "a.b.acme.test", True),
        ("*.acme.test", "acme.test", False),
        ("*.acme.test", ".acme.test", False),
        ("*.acme.test", "evilacme.test", False),
        ("acme.test", "ACME.test", True),
        ("ACME.test", "acme.test", True),
        ("acme.test", "a.acme.test", False),
        ("10.0.0.1", "10.0.0.1", True),
        ("::1", "::1", True),
    ],
)
def test_a_host_glob_matches(pattern: str, host: str, matches: bool) -> None:
    assert parse_host_glob(pattern).matches(host) is matches


@pytest.mark.parametrize(
    "pattern", ["", "*.", "a.*", "*a.b", "*.*.b", "a b", "a.test:443", "a..b", "[::1]", "https://a"]
)
def test_what_is_no_host_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="without port"):
        parse_host_glob(pattern)


@pytest.mark.parametrize(
    ("left", "right", "both"),
    [
        ("*", "a.b", "a.b"),
        ("*", "*", "*"),
        ("*.b", "*.a.b", "*.a.b"),
        ("*.b", "*.c", None),
        ("*.b", "a.b", "a.b"),
        ("*.b", "b", None),
        ("a.b", "c.b", None),
        ("*.ab", "*.b", None),
    ],
)
def test_what_two_host_globs_share(left: str, right: str, both: str | None) -> None:
    for one, other in ((left, right), (right, left)):
        met = parse_host_glob(one).meet(parse_host_glob(other))
        assert (None if met is None else str(met)) == both


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("a.example", True),
        ("xn--bcher-kva.example", True),
        ("a_b.example", True),
        ("fe80::1", True),
        ("1:2", False),
        ("zz::1", False),
        ("bücher.example", False),
        ("a" * 64 + ".example", False),
        (".".join(["a" * 60] * 5), False),
        ("a.example.", False),
    ],
)
def test_a_host_is_a_name_or_an_address(text: str, is_one: bool) -> None:
    assert is_host(text) is is_one
