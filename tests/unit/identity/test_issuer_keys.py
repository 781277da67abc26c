"""An issuer's keys: fetched beside the requests, kept while it is silent, gone when withdrawn."""

import asyncio
from contextlib import asynccontextmanager

import orjson
import pytest

from outrider.config.identity_settings import OidcIssuer
from outrider.core.errors import UnauthenticatedError
from outrider.identity.causes import Cause
from outrider.identity.issuer_keys import FetchError, IssuerKeys
from tests.support.builders import FixedClock
from tests.support.jwt import a_key
from tests.support.oidc import AUDIENCE, DISCOVERY, ISSUER, JWKS, FixedDocuments, discovery, jwks
from tests.support.virtual import in_virtual_time, now_s

ONE, TWO = a_key("ES256", "one"), a_key("RS256", "two")


class LoopClock(FixedClock):
    """Virtual seconds, as the loop has them."""

    def monotonic_s(self):
        return 1000.0 + now_s()


def _keys(documents, **settings):
    issuer = OidcIssuer(**{"issuer": ISSUER, "audience": AUDIENCE} | settings)
    return IssuerKeys(name="corp", settings=issuer, fetch=documents, clock=LoopClock())


@asynccontextmanager
async def _running(keys):
    async with asyncio.TaskGroup() as group:
        job = group.create_task(keys.run())
        yield keys
        job.cancel()


def _served(*keys):
    documents = FixedDocuments()
    documents.serve(*keys)
    return documents


def _kids(keys):
    return None if keys is None else [key.kid for key in keys]


async def _refusal(keys, kid):
    with pytest.raises(UnauthenticatedError) as refusal:
        await keys.for_token(kid)
    return refusal.value.cause


def test_the_first_token_waits_for_the_first_fetch():
    async def story():
        documents = _served(ONE, TWO)
        async with _running(_keys(documents)) as keys:
            assert _kids(await keys.for_token("one")) == ["one", "two"]
            assert documents.asked == [ISSUER + DISCOVERY, ISSUER + JWKS]
            assert now_s() == 0

    in_virtual_time(story())


def test_a_pinned_address_needs_no_discovery():
    async def story():
        documents = FixedDocuments({"https://elsewhere.test/k": jwks(ONE)})
        async with _running(_keys(documents, jwks_url="https://elsewhere.test/k")) as keys:
            assert _kids(await keys.for_token("one")) == ["one"]
            assert documents.asked == ["https://elsewhere.test/k"]

    in_virtual_time(story())


def test_keys_are_fetched_again_every_five_minutes_and_a_withdrawn_one_is_gone():
    async def story():
        documents = _served(ONE, TWO)
        async with _running(_keys(documents)) as keys:
            await keys.for_token("one")
            before = keys.current()
            documents.serve(TWO)
            await asyncio.sleep(299)
            assert keys.current() is before
            await asyncio.sleep(2)
            assert _kids(keys.current()) == ["two"]

    in_virtual_time(story())


def test_equal_keys_stay_the_same_object():
    async def story():
        documents = _served(ONE)
        async with _running(_keys(documents)) as keys:
            before = await keys.for_token("one")
            await asyncio.sleep(301)
            assert len(documents.asked) == 4
            assert keys.current() is before

    in_virtual_time(story())


def test_a_new_keys_first_token_fetches_it_but_not_within_half_a_minute():
    async def story():
        documents = _served(ONE)
        async with _running(_keys(documents)) as keys:
            await keys.for_token("one")
            documents.serve(ONE, TWO)
            assert _kids(await keys.for_token("two")) == ["one"]
            assert len(documents.asked) == 2
            await asyncio.sleep(30)
            assert _kids(await keys.for_token("two")) == ["one", "two"]
            assert len(documents.asked) == 4

    in_virtual_time(story())


def test_an_unknown_key_is_remembered_as_unknown():
    async def story():
        documents = _served(ONE)
        async with _running(_keys(documents)) as keys:
            await keys.for_token("one")
            await asyncio.sleep(30)
            assert _kids(await keys.for_token("junk")) == ["one"]
            await asyncio.sleep(31)
            await keys.for_token("junk")
            assert len(documents.asked) == 4  # asked once for it, not again
            await keys.for_token("other")
            assert len(documents.asked) == 6

    in_virtual_time(story())


def test_what_was_unknown_is_asked_for_again_once_the_keys_have_changed():
    async def story():
        documents = _served(ONE)
        async with _running(_keys(documents)) as keys:
            await keys.for_token("one")
            await asyncio.sleep(31)
            await keys.for_token("two")
            assert list(keys._unknown) == ["two"]
            documents.serve(ONE, a_key("ES256", "three"))
            await asyncio.sleep(31)
            assert "three" in _kids(await keys.for_token("three"))
            assert not keys._unknown
            documents.serve(ONE, TWO)
            await asyncio.sleep(31)
            assert _kids(await keys.for_token("two")) == ["one", "two"]

    in_virtual_time(story())


def test_a_flood_of_unknown_keys_is_one_fetch_each_half_minute_and_bounded_memory():
    async def story():
        documents = _served(ONE)
        async with _running(_keys(documents)) as keys:
            await keys.for_token("one")
            for n in range(3000):
                await asyncio.sleep(0.1)
                await keys.for_token(f"junk-{n}")
            assert len(documents.asked) <= 2 * (2 + 300 / 30)
            for n in range(300):
                keys._remember(f"more-{n}")
            assert len(keys._unknown) == 256

    in_virtual_time(story())


def test_a_request_waits_two_seconds_and_many_wait_for_one_fetch():
    async def story():
        documents = _served(ONE)
        documents.gate = asyncio.Event()
        async with _running(_keys(documents)) as keys:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_refusal(keys, "one")) for _ in range(200)]
            assert {task.result() for task in tasks} == {Cause.ISSUER_UNAVAILABLE.value}
            assert (now_s(), len(documents.asked)) == (2, 1)
            assert keys._waiting == 0
            documents.gate.set()
            await asyncio.sleep(0.1)
            assert _kids(await keys.for_token("one")) == ["one"]

    in_virtual_time(story())


def test_no_more_than_64_wait():
    async def story():
        documents = _served(ONE)
        documents.gate = asyncio.Event()
        async with _running(_keys(documents)) as keys, asyncio.TaskGroup() as group:
            for _ in range(64):
                group.create_task(_refusal(keys, "one"))
            await asyncio.sleep(0.1)
            assert keys._waiting == 64
            await _refusal(keys, "one")
            assert now_s() == 0.1

    in_virtual_time(story())


def test_a_request_that_is_cancelled_ends_no_fetch():
    async def story():
        documents = _served(ONE)
        documents.gate = asyncio.Event()
        async with _running(_keys(documents)) as keys, asyncio.TaskGroup() as group:
            waits = group.create_task(keys.for_token("one"))
            await asyncio.sleep(0.1)
            waits.cancel()
            documents.gate.set()
            await asyncio.sleep(0.1)
            assert _kids(keys.current()) == ["one"]
            assert keys._waiting == 0

    in_virtual_time(story())


def test_while_the_issuer_is_silent_the_last_good_keys_serve_for_an_hour():
    async def story():
        documents = _served(ONE)
        async with _running(_keys(documents)) as keys:
            await keys.for_token("one")
            documents.documents.clear()
            await asyncio.sleep(3599)
            assert _kids(await keys.for_token("one")) == ["one"]
            await asyncio.sleep(2)
            assert keys.current() is None
            assert await _refusal(keys, "one") == Cause.ISSUER_UNAVAILABLE.value
            documents.serve(TWO)
            await asyncio.sleep(301)
            assert _kids(keys.current()) == ["two"]

    in_virtual_time(story())


def test_after_failures_the_issuer_is_left_alone_longer_and_longer():
    async def story():
        documents = FixedDocuments()
        async with _running(_keys(documents)) as keys:
            await asyncio.sleep(0)
            instants, before = [], 0
            while now_s() < 700:
                await asyncio.sleep(1)
                await _refusal(keys, "one")
                if len(documents.asked) != before:
                    before = len(documents.asked)
                    instants.append(round(now_s()))
            assert instants == [1, 5, 15, 35, 75, 155, 315, 615]

    in_virtual_time(story())


def test_a_failed_fetch_makes_no_key_unknown():
    async def story():
        documents = _served(ONE)
        async with _running(_keys(documents)) as keys:
            await keys.for_token("one")
            documents.documents.clear()
            await asyncio.sleep(30)
            await keys.for_token("two")
            assert not keys._unknown

    in_virtual_time(story())


PRIVATE = orjson.dumps({"keys": [ONE.jwk(use="sig", d="AA")]})
BAD = [
    pytest.param(discovery(issuer=ISSUER + "/"), jwks(ONE), id="another-issuer"),
    pytest.param(b"[]", jwks(ONE), id="discovery-no-object"),
    pytest.param(b"<html>", jwks(ONE), id="discovery-no-json"),
    pytest.param(
        b'{"issuer":"%s","issuer":"x"}' % ISSUER.encode(), jwks(ONE), id="discovery-doubled-name"
    ),
    pytest.param(discovery(jwks_uri=None), jwks(ONE), id="no-address"),
    pytest.param(discovery(jwks_uri="https://evil.test/keys"), jwks(ONE), id="another-host"),
    pytest.param(discovery(jwks_uri=ISSUER + ":444/keys"), jwks(ONE), id="another-port"),
    pytest.param(discovery(jwks_uri="http://login.corp.test/keys"), jwks(ONE), id="keys-not-https"),
    pytest.param(
        discovery(jwks_uri="https://u@login.corp.test/keys"), jwks(ONE), id="keys-with-userinfo"
    ),
    pytest.param(discovery(jwks_uri="https://login.corp.test:x/"), jwks(ONE), id="no-port"),
    pytest.param(discovery(), b"{}", id="no-keys"),
    pytest.param(discovery(), b'{"keys":[],"keys":[]}', id="keys-doubled-name"),
    pytest.param(discovery(), b" " * ((256 << 10) + 1), id="keys-too-large"),
    pytest.param(discovery(), PRIVATE, id="a-private-key"),
    pytest.param(FetchError("no"), jwks(ONE), id="no-discovery"),
]


@pytest.mark.parametrize(("said", "keys_said"), BAD)
def test_a_document_that_is_not_taken_brings_no_keys(said, keys_said):
    async def story():
        documents = FixedDocuments({ISSUER + DISCOVERY: said, ISSUER + JWKS: keys_said})
        async with _running(_keys(documents)) as keys:
            assert await _refusal(keys, "one") == Cause.ISSUER_UNAVAILABLE.value

    in_virtual_time(story())


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"kty": "oct", "k": "AA", "kid": "x"}, id="hmac"),
        pytest.param({"kty": "OKP", "crv": "Ed25519", "x": "AA"}, id="another-type"),
        pytest.param(TWO.jwk(use="enc"), id="for-encryption"),
        pytest.param(TWO.jwk(use=None, key_ops=["sign"]), id="another-operation"),
        pytest.param(TWO.jwk(use="sig", n="AQAB"), id="too-short"),
        pytest.param(TWO.jwk(use="sig", n="!"), id="broken"),
    ],
)
def test_a_key_that_is_not_for_us_is_skipped_and_the_rest_kept(other):
    async def story():
        said = orjson.dumps({"keys": [other, ONE.jwk(use=None, key_ops=["verify"])]})
        documents = FixedDocuments({ISSUER + DISCOVERY: discovery(), ISSUER + JWKS: said})
        async with _running(_keys(documents)) as keys:
            assert _kids(await keys.for_token("one")) == ["one"]

    in_virtual_time(story())


def test_a_slow_issuer_is_given_up():
    async def story():
        documents = _served(ONE)
        documents.gate = asyncio.Event()
        async with _running(_keys(documents)) as keys:
            await asyncio.sleep(10.5)
            assert keys._failures == 1

    in_virtual_time(story())


def test_a_panic_in_a_key_is_a_failed_fetch():
    class PanicException(BaseException):
        """Named as pyo3 names its own, which cannot be imported."""

    async def panics(_url):
        raise PanicException

    async def story():
        async with _running(_keys(panics)) as keys:
            assert await _refusal(keys, "one") == Cause.ISSUER_UNAVAILABLE.value

    in_virtual_time(story())


def test_what_is_no_failure_of_the_issuer_is_not_swallowed():
    async def broken(_url):
        raise RuntimeError

    async def story():
        async with _running(_keys(broken)):
            await asyncio.sleep(1)

    with pytest.raises(ExceptionGroup):
        in_virtual_time(story())


def test_a_token_without_a_key_name_asks_for_no_fetch():
    async def story():
        documents = _served(ONE)
        async with _running(_keys(documents)) as keys:
            await keys.for_token(None)
            await asyncio.sleep(31)
            await keys.for_token(None)
            assert len(documents.asked) == 2

    in_virtual_time(story())
