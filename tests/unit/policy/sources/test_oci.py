"""One attempt at a registry: who is shown what, and where a blob may come from."""

from dataclasses import dataclass, field

import orjson
import pytest

from outrider.core.secret import Secret
from outrider.policy.sources.oci import Login, OciOrigin, Registry
from outrider.policy.sources.origin import FetchError
from outrider.policy.sources.wire import Got
from tests.support.bundles import a_manifest, digest_of

BLOB = b"bundle"
MANIFEST = a_manifest(BLOB)
ORIGIN = "https://reg.test"
TAG, DIGEST = "manifests/prod", f"blobs/{digest_of(BLOB)}"
STORE = "https://store.test/x?sig=1"
REALM = {"www-authenticate": 'Bearer realm="https://auth.test/t",service="reg"'}


def ok(body):
    return Got(status=200, fields={}, body=body)


@dataclass
class ScriptedWire:
    """Answers by URL, the next of each list; remembers who was shown what."""

    answers: dict
    asked: list = field(default_factory=list)

    async def get(self, url, fields, limit_bytes):
        self.asked.append((url.removeprefix(f"{ORIGIN}/v2/acme/policy/"), dict(fields)))
        (*before, last) = self.answers[self.asked[-1][0].partition("?")[0]]
        if before:
            self.answers[self.asked[-1][0].partition("?")[0]] = [*before[1:], last]
            return before[0]
        return last

    def shown(self):
        return [(url.partition("?")[0], said.get("Authorization")) for url, said in self.asked]


def origin(answers, *, login=None, **changes):
    fields = {"name": "p", "origin": ORIGIN, "repository": "acme/policy", "reference": "prod"}
    wire = ScriptedWire({TAG: [ok(MANIFEST)], DIGEST: [ok(BLOB)]} | answers)

    async def given():
        return login or Login()

    registry = Registry(**fields | changes)
    return OciOrigin(registry=registry, wire=wire, login=given, limit_bytes=99), wire


async def test_a_bundle_comes_by_its_tag():
    oci, wire = origin({})
    found = await oci.fetch("")
    assert (found.content, found.etag) == (BLOB, digest_of(MANIFEST))
    assert wire.shown() == [(TAG, None), (DIGEST, None)]


async def test_unchanged_by_304_and_by_digest():
    oci, wire = origin({TAG: [Got(status=304, fields={})]})
    assert await oci.fetch(digest_of(MANIFEST)) is None
    assert wire.asked[0][1]["If-None-Match"] == f'"{digest_of(MANIFEST)}"'
    with pytest.raises(FetchError, match="304"):
        await oci.fetch("")
    oci, wire = origin({})
    assert await oci.fetch(digest_of(MANIFEST)) is None
    assert len(wire.asked) == 1


async def test_a_token_is_had_once_for_an_attempt():
    login = Login(username="robot", password=Secret("secret"))
    wants = Got(status=401, fields=REALM)
    tokens = ok(orjson.dumps({"token": "t0k"}))
    oci, wire = origin({TAG: [wants, ok(MANIFEST)], "https://auth.test/t": [tokens]}, login=login)
    assert (await oci.fetch("")).content == BLOB
    assert wire.shown() == [
        (TAG, None),
        ("https://auth.test/t", "Basic cm9ib3Q6c2VjcmV0"),
        (TAG, "Bearer t0k"),
        (DIGEST, "Bearer t0k"),
    ]


async def test_without_a_user_a_token_is_asked_for_anonymously():
    wants, tokens = Got(status=401, fields=REALM), ok(b'{"token": "t0k"}')
    oci, wire = origin({TAG: [wants, ok(MANIFEST)], "https://auth.test/t": [tokens]})
    assert (await oci.fetch("")).content == BLOB
    assert wire.shown()[1] == ("https://auth.test/t", None)


async def test_a_basic_registry_is_shown_the_user():
    login = Login(username="robot", password=Secret("secret"))
    wants = Got(status=401, fields={"www-authenticate": "Basic"})
    oci, wire = origin({TAG: [wants, ok(MANIFEST)]}, login=login)
    assert (await oci.fetch("")).content == BLOB
    assert wire.shown()[1:] == [(TAG, "Basic cm9ib3Q6c2VjcmV0"), (DIGEST, "Basic cm9ib3Q6c2VjcmV0")]
    oci, _ = origin({TAG: [wants]})
    with pytest.raises(FetchError, match="wants a user"):
        await oci.fetch("")


async def test_a_token_of_ones_own_is_shown_at_once_and_no_challenge_answered():
    oci, wire = origin({TAG: [Got(status=401, fields=REALM)]}, login=Login(token=Secret("own")))
    with pytest.raises(FetchError, match="answered 401"):
        await oci.fetch("")
    assert wire.shown() == [(TAG, "Bearer own")]


async def test_a_registry_that_is_never_content_is_asked_twice():
    wants, tokens = Got(status=401, fields=REALM), ok(b'{"token": "t0k"}')
    oci, wire = origin({TAG: [wants], "https://auth.test/t": [tokens]})
    with pytest.raises(FetchError, match="answered 401"):
        await oci.fetch("")
    assert len(wire.asked) == 3


async def test_a_token_server_that_refuses_is_a_failure():
    oci, _ = origin(
        {TAG: [Got(status=401, fields=REALM)], "https://auth.test/t": [Got(status=403, fields={})]}
    )
    with pytest.raises(FetchError, match="token server answered 403"):
        await oci.fetch("")


async def test_a_blob_may_come_from_where_is_listed_and_nothing_is_shown_there():
    moved = Got(status=307, fields={"location": STORE})
    answers = {DIGEST: [moved], "https://store.test/x": [ok(BLOB)]}
    login = Login(token=Secret("own"))
    oci, wire = origin(answers, login=login, redirect_hosts=frozenset({"store.test"}))
    assert (await oci.fetch("")).content == BLOB
    assert wire.shown()[-1] == ("https://store.test/x", None)


@pytest.mark.parametrize(
    ("location", "hosts"),
    [
        pytest.param(STORE, set(), id="nothing-listed"),
        pytest.param(STORE, {"other.test"}, id="another"),
        pytest.param("http://store.test/x", {"store.test"}, id="plain"),
        pytest.param("https://store.test:8443/x", {"store.test"}, id="another-port"),
        pytest.param("https://u@store.test/x", {"store.test"}, id="userinfo"),
        pytest.param("/x", {"store.test"}, id="relative"),
        pytest.param("", {"store.test"}, id="nowhere"),
        pytest.param("https://[::1/x", {"store.test"}, id="no-url"),
    ],
)
async def test_a_blob_comes_from_nowhere_else(location, hosts):
    moved = Got(status=307, fields={"location": location})
    oci, wire = origin({DIGEST: [moved]}, redirect_hosts=frozenset(hosts))
    with pytest.raises(FetchError, match="sends us"):
        await oci.fetch("")
    assert len(wire.asked) == 2


async def test_a_second_redirect_is_not_followed():
    moved = Got(status=302, fields={"location": STORE})
    oci, _ = origin(
        {DIGEST: [moved], "https://store.test/x": [moved]}, redirect_hosts=frozenset({"store.test"})
    )
    with pytest.raises(FetchError, match="answered 302"):
        await oci.fetch("")


async def test_a_manifest_is_not_looked_for_elsewhere():
    oci, wire = origin(
        {TAG: [Got(status=302, fields={"location": STORE})]},
        redirect_hosts=frozenset({"store.test"}),
    )
    with pytest.raises(FetchError, match="answered 302"):
        await oci.fetch("")
    assert len(wire.asked) == 1


@pytest.mark.parametrize("blob", [b"bundlf", b"bundl", b"bundle+"])
async def test_a_blob_that_is_another_is_refused(blob):
    with pytest.raises(FetchError, match="not the one"):
        await origin({DIGEST: [ok(blob)]})[0].fetch("")
