"""What OPA is offered: ETag, held polls, and what OPA's next question says."""

import asyncio

import pytest

from outrider.core.errors import ConfigError
from outrider.policy.opa_bundles import BundleSource, Offered
from outrider.policy.release import bundle_bytes
from tests.support.opa import a_release


async def soon() -> None:
    """Let every task run as far as it comes."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_bundle_is_given_whole_then_not_again():
    source = BundleSource()
    etag = source.offer(a_release("r1"))
    packed = bundle_bytes(a_release("r1"))
    assert await source.poll(None) == Offered(status=200, etag=etag, body=packed)
    assert await source.poll(etag) == Offered(status=304, etag=etag)
    assert await source.poll('"other"') == Offered(status=200, etag=etag, body=packed)


async def test_without_a_release_there_is_nothing_to_give():
    assert await BundleSource().poll(None) == Offered(status=404)


async def test_news_is_given_at_once_however_long_it_may_wait():
    source = BundleSource()
    source.offer(a_release("r1"))
    assert (await source.poll('"other"', 60)).status == 200


@pytest.mark.parametrize("first", [True, False], ids=["something-offered", "nothing-offered"])
async def test_a_poll_is_held_until_there_is_something_new(first):
    source = BundleSource()
    etag = source.offer(a_release("r1")) if first else None
    async with asyncio.TaskGroup() as group:
        polls = [group.create_task(source.poll(etag, 30)) for _ in range(3)]
        await soon()
        assert not any(poll.done() for poll in polls)
        newer = source.offer(a_release("r2"))
    assert {poll.result().etag for poll in polls} == {newer}
    assert newer != etag


async def test_a_held_poll_ends_when_it_said():
    source = BundleSource()
    etag = source.offer(a_release("r1"))
    assert await source.poll(etag, 0.01) == Offered(status=304, etag=etag)


async def test_nobody_waits_longer_than_the_bound(monkeypatch):
    monkeypatch.setattr("outrider.policy.opa_bundles.LONGEST_WAIT_S", 0.01)
    assert (await BundleSource().poll(None, 99_999)).status == 404


async def test_the_same_release_again_ends_the_polls_too_and_is_taken():
    source = BundleSource()
    etag = source.offer(a_release("r1"))
    async with asyncio.TaskGroup() as group:
        held = group.create_task(source.poll(etag, 30))
        await soon()
        source.offer(a_release("r1"))
        verdict = group.create_task(source.taken())
        await soon()
        assert held.result().status == 304
        assert not verdict.done()
        await source.poll(etag)
    assert verdict.result()


@pytest.mark.parametrize(
    ("asks_with", "taken"),
    [
        pytest.param("same", True, id="on-from-there"),
        pytest.param(None, False, id="from-nothing"),
        pytest.param('"other"', False, id="from-elsewhere"),
    ],
)
async def test_what_opa_asks_next_says_whether_it_took_the_bundle(asks_with, taken):
    source = BundleSource()
    etag = source.offer(a_release("r1"))
    async with asyncio.TaskGroup() as group:
        verdict = group.create_task(source.taken())
        await soon()
        await source.poll(None)
        assert not verdict.done()
        await source.poll(etag if asks_with == "same" else asks_with)
    assert verdict.result() is taken


async def test_an_older_question_says_nothing_of_a_newer_bundle():
    source = BundleSource()
    source.offer(a_release("r1"))
    older = (await source.poll(None)).etag
    newer = source.offer(a_release("r2"))
    async with asyncio.TaskGroup() as group:
        verdict = group.create_task(source.taken())
        await soon()
        await source.poll(older)  # OPA took the older one, of the newer it had not heard
        assert not verdict.done()
        await source.poll(newer)
    assert verdict.result()


async def test_an_opa_that_began_anew_has_refused_nothing():
    source = BundleSource()
    etag = source.offer(a_release("r1"))
    await source.poll(None)
    async with asyncio.TaskGroup() as group:
        verdict = group.create_task(source.taken())
        await soon()
        source.forget()
        await source.poll(None)
        assert not verdict.done()
        await source.poll(etag)
    assert verdict.result()


async def test_two_cannot_wait_for_a_verdict_at_once():
    source = BundleSource()
    etag = source.offer(a_release("r1"))
    async with asyncio.TaskGroup() as group:
        group.create_task(source.taken())
        await soon()
        with pytest.raises(ConfigError):
            await source.taken()
        await source.poll(etag)
