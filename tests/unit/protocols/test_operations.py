import pytest
from hypothesis import given, strategies as st

from outrider.core.errors import EnforcementError, MalformedError, UnrecognisedError
from outrider.protocols.operations import Matched, Operations
from tests.support.builders import an_entry

KEYS = [
    "GET /",
    "GET /people",
    "POST /people",
    "GET /people/{id}",
    "DELETE /people/{id}",
    "GET /people/me",
    "GET /people/{id}/files/{file}",
    "GET /people/{person}/files/latest",
    "HEAD /people/me",
    "GET /a%20b/{x}",
    "PUT /teams/{id}/",
]
OPERATIONS = Operations({key: an_entry() for key in KEYS})


def match(method: str, path: str, **options: bool) -> Matched:
    return OPERATIONS.match(method, path, **options)


@pytest.mark.parametrize(
    ("method", "path", "key", "values", "sent"),
    [
        ("GET", "/", "GET /", {}, "/"),
        ("GET", "/people", "GET /people", {}, "/people"),
        ("GET", "/people/42", "GET /people/{id}", {"id": "42"}, "/people/42"),
        ("DELETE", "/people/42", "DELETE /people/{id}", {"id": "42"}, "/people/42"),
        ("GET", "/people/me", "GET /people/me", {}, "/people/me"),
        ("HEAD", "/people/me", "HEAD /people/me", {}, "/people/me"),
        ("HEAD", "/people/42", "GET /people/{id}", {"id": "42"}, "/people/42"),
        (
            "GET",
            "/people/me/files/a%20b",
            "GET /people/{id}/files/{file}",
            {"id": "me", "file": "a b"},
            "/people/me/files/a%20b",
        ),
        (
            "GET",
            "/people/7/files/latest",
            "GET /people/{person}/files/latest",
            {"person": "7"},
            "/people/7/files/latest",
        ),
        ("GET", "/a%20b/%C3%A9", "GET /a%20b/{x}", {"x": "é"}, "/a%20b/%C3%A9"),
        ("GET", "/people/%252e", "GET /people/{id}", {"id": "%2e"}, "/people/%252e"),
        ("GET", "/people/a%40b", "GET /people/{id}", {"id": "a@b"}, "/people/a@b"),
        ("GET", "/people/...", "GET /people/{id}", {"id": "..."}, "/people/..."),
    ],
)
def test_a_path_is_one_operation(
    method: str, path: str, key: str, values: dict[str, str], sent: str
) -> None:
    found = match(method, path)
    assert (found.operation.key, found.values, found.path) == (key, values, sent)


@pytest.mark.parametrize(
    "path",
    [
        "/person",
        "/people/",
        "/people/1/2",
        "/People",
        "/people//files/x",
        "/teams/1",
        "/people/1/files",
    ],
)
def test_a_path_nobody_declared_is_unrecognised(path: str) -> None:
    with pytest.raises(UnrecognisedError) as refused:
        match("GET", path)
    assert (refused.value.cause, refused.value.status) == ("operation", None)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/people", ("GET", "POST")),
        ("HEAD", "/teams/1/", ("PUT",)),
        ("DELETE", "/people/me", ("GET", "HEAD")),
    ],
    ids=["other-method", "head-without-get", "exact-beats-template"],
)
def test_a_method_nobody_declared_is_405(method: str, path: str, allowed: tuple[str, ...]) -> None:
    with pytest.raises(UnrecognisedError) as refused:
        match(method, path)
    assert (refused.value.status, refused.value.allow_methods) == (405, allowed)


@pytest.mark.parametrize(
    "segment",
    [
        "..%2fadmin",
        "%2F",
        "a%5Cb",
        "a\\b",
        "%00",
        "a%0Ab",
        ".",
        "..",
        "%2e",
        "%2E%2e",
        "%C2%85",
        "%ff",
    ],
)
def test_a_value_that_could_be_a_path_is_refused(segment: str) -> None:
    with pytest.raises(MalformedError) as refused:
        match("GET", "/people/" + segment)
    assert refused.value.cause == "path"


def test_an_encoded_slash_keeps_its_raw_spelling_where_the_route_takes_it() -> None:
    found = match("GET", "/people/group%2Fproject", encoded_slash=True)
    assert (found.values, found.path) == ({"id": "group%2Fproject"}, "/people/group%2Fproject")
    assert match("GET", "/people/a%20b", encoded_slash=True).values == {"id": "a b"}
    for path in ("/people/..%2Fadmin", "/people/a%2F%2e%2e", "/people/a%2F%00"):
        with pytest.raises(MalformedError):
            match("GET", path, encoded_slash=True)


def test_an_operation_is_named_by_its_id() -> None:
    operations = Operations({"GET /a": an_entry(operation_id="getA"), "GET /b": an_entry()})
    assert operations.match("GET", "/a").operation.name == "getA"
    assert operations.match("GET", "/b").operation.name == "GET /b"


@given(
    st.lists(st.text("ab%2ef./\\é", max_size=6), max_size=4).map(lambda one: "/" + "/".join(one))
)
def test_what_is_sent_is_the_same_operation_with_the_same_values(path: str) -> None:
    operations = Operations({"GET /{x}": an_entry(), "GET /a/{y}": an_entry()})
    try:
        found = operations.match("GET", path)
    except EnforcementError:
        return
    again = operations.match("GET", found.path)
    assert (again.operation.key, again.values) == (found.operation.key, found.values)
    assert again.path == found.path
