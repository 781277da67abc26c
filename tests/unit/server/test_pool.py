import asyncio
from dataclasses import replace

import pytest

from outrider.core.errors import UpstreamUnavailableError
from outrider.core.exchange import Outgoing
from tests.support.builders import a_permit, an_action, an_ask
from tests.support.net import RecordingUpstream
from tests.support.peers import running_pool, whole


async def test_a_permit_opens_its_own_upstream_alone():
    permit = a_permit(an_action(ask=an_ask(upstream="other")))
    request = Outgoing(method="GET", target="/x", headers=(), body=b"")
    async with RecordingUpstream() as upstream, running_pool(upstream.port) as pool:
        with pytest.raises(UpstreamUnavailableError):
            await pool.pool.send(permit, request)
        assert (upstream.connections, upstream.seen) == (0, [])


async def test_closing_drops_every_connection():
    async with RecordingUpstream() as upstream, running_pool(upstream.port) as pool:
        await whole(await pool.send())
        pool.pool.close()
        assert pool.pool._lines["crm"]._all == set()


async def test_answers_are_counted_by_class():
    said = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    async with RecordingUpstream(answers=(said,)) as upstream, running_pool(upstream.port) as pool:
        await whole(await pool.send())
        assert pool.events.log == [("answered", "4xx")]


async def test_a_large_body_leaves_whole():
    async with RecordingUpstream() as upstream, running_pool(upstream.port) as pool:
        await whole(await pool.send(b"x" * 300_000, method="POST"))
        assert len(upstream.seen[0].body) == 300_000


async def test_who_waits_for_a_line_that_is_retired_goes_where_the_upstream_is_now():
    async with (
        RecordingUpstream() as old,
        RecordingUpstream() as new,
        running_pool(old.port, connections=1) as before,
        running_pool(new.port) as after,
        asyncio.TaskGroup() as group,
    ):
        place = before.pool._lines["crm"]._turnstile
        await place.enter()
        waiting = group.create_task(before.send())
        await asyncio.sleep(0)
        before.pool.retire(after.pool, {"crm"})
        place.leave()
        await whole(await waiting)
        await whole(await before.send())  # decided before the change, sent after it
        assert (len(old.seen), len(new.seen)) == (0, 2)
        assert new.seen[0].field("host") == f"127.0.0.1:{new.port}"


async def test_who_waits_for_an_upstream_that_has_moved_is_refused():
    async with (
        RecordingUpstream() as old,
        RecordingUpstream() as new,
        running_pool(old.port, connections=1) as before,
        running_pool(new.port) as after,
        asyncio.TaskGroup() as group,
    ):
        place = before.pool._lines["crm"]._turnstile
        await place.enter()
        waiting = group.create_task(_refused(before))
        await asyncio.sleep(0)
        before.pool.retire(after.pool, set())
        place.leave()
        assert (await waiting).cause == "retired"
        assert (old.seen, new.seen) == ([], [])


async def test_what_comes_at_once_still_goes_where_it_was_let_go():
    async with RecordingUpstream() as old, running_pool(old.port) as pool:
        pool.pool.retire()
        for _ in range(2):
            await whole(await pool.send())
        assert (len(old.seen), old.connections) == (2, 2)  # nothing is kept of the line


async def test_a_move_drops_nothing_that_is_being_dialled():
    async with RecordingUpstream() as old, running_pool(old.port) as pool:
        _retire_at_the_dial(pool)
        await whole(await pool.send())
        assert len(old.seen) == 1


async def test_what_comes_after_somebody_else_is_expected_by_spiffe_reaches_nobody():
    async with RecordingUpstream() as old, running_pool(old.port) as pool:
        _by_spiffe(pool)
        pool.pool.retire()
        for _ in range(2):
            assert (await _refused(pool)).cause == "retired"
        assert (old.connections, pool.pool.is_busy) == (0, False)


async def test_what_is_being_dialled_while_somebody_else_comes_to_be_expected_carries_nothing():
    async with RecordingUpstream() as old, running_pool(old.port) as pool:
        _by_spiffe(pool)
        _retire_at_the_dial(pool)
        assert (await _refused(pool)).cause == "retired"
        assert (old.seen, pool.pool.is_busy) == ([], False)


async def test_a_pool_that_was_left_is_looked_after_until_its_last_dial_is_over():
    async with (
        RecordingUpstream() as old,
        running_pool(old.port) as before,
        running_pool(old.port) as after,
        asyncio.TaskGroup() as group,
    ):
        _by_spiffe(before)
        line, dialling = before.pool.line("crm"), asyncio.Event()
        resolve, go_on = line._dialler._resolver.resolve, asyncio.Event()

        async def slowly(*place):
            dialling.set()
            await go_on.wait()
            return await resolve(*place)

        line._dialler._resolver.resolve = slowly
        refused = group.create_task(_refused(before))
        await dialling.wait()
        before.pool.retire(after.pool)
        after.pool.revalidate(lambda _: True)
        assert after.pool._elders == [before.pool]
        go_on.set()
        assert (await refused).cause == "retired"
        after.pool.revalidate(lambda _: True)
        assert (after.pool._elders, old.seen) == ([], [])


async def test_who_waits_while_an_upstream_is_replaced_goes_to_the_new_one():
    async with (
        RecordingUpstream() as old,
        RecordingUpstream() as new,
        running_pool(old.port, connections=1) as pool,
        asyncio.TaskGroup() as group,
    ):
        place = pool.pool._lines["crm"]._turnstile
        await place.enter()
        waiting = group.create_task(pool.send())
        await asyncio.sleep(0)
        origin = pool.pool._lines["crm"]._origin
        now = replace(origin, port=new.port, authority=f"127.0.0.1:{new.port}", revision="2")
        pool.pool.replace(now)
        place.leave()
        await whole(await waiting)
        assert (len(old.seen), len(new.seen)) == (0, 1)
        assert new.seen[0].field("host") == f"127.0.0.1:{new.port}"


async def test_what_was_dialled_before_a_change_carries_nothing_after_it():
    async with (
        RecordingUpstream() as old,
        RecordingUpstream() as new,
        running_pool(old.port) as pool,
        running_pool(new.port) as after,
    ):
        _retire_at_the_dial(pool, after.pool, {"crm"})
        await whole(await pool.send())
        line = pool.pool.line("crm")
        assert (old.seen, line._all, line._turnstile.inside) == ([], set(), 0)
        assert len(new.seen) == 1


def _by_spiffe(pool):
    """As a line to a SPIFFE upstream is, but for the handshake that no test here comes to."""
    line = pool.pool.line("crm")
    line._origin = replace(line._origin, spiffe=True)


def _retire_at_the_dial(pool, *by):
    line = pool.pool.line("crm")
    resolve = line._dialler._resolver.resolve

    async def retired_meanwhile(*place):
        pool.pool.retire(*by)
        return await resolve(*place)

    line._dialler._resolver.resolve = retired_meanwhile


async def _refused(pool):
    with pytest.raises(UpstreamUnavailableError) as caught:
        await pool.send()
    return caught.value
