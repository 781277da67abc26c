import asyncio
import ipaddress

import pytest

from outrider.core.errors import UpstreamUnavailableError
from outrider.server.dns import Resolver, absolute
from tests.support.builders import FixedClock

PRIVATE = (ipaddress.ip_network("10.0.0.0/8"),)


class FixedLookup:
    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host, port):
        self.asked += 1
        answer = self.answers[min(self.asked, len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


async def resolve(resolver, host="crm.internal", networks=PRIVATE):
    return [str(address) for address in await resolver.resolve(host, 443, networks)]


async def test_an_answer_is_kept_for_its_life_and_asked_again_after():
    lookup, clock = FixedLookup(["10.0.0.1"], ["10.0.0.2"]), FixedClock()
    resolver = Resolver(clock=clock, lookup=lookup, ttl_s=60)
    assert await resolve(resolver) == ["10.0.0.1"]
    clock.pass_s(59)
    assert await resolve(resolver) == ["10.0.0.1"]
    clock.pass_s(2)
    assert await resolve(resolver) == ["10.0.0.2"]
    assert lookup.asked == 2


async def test_a_failure_is_kept_for_a_second():
    lookup, clock = FixedLookup(OSError(), ["10.0.0.1"]), FixedClock()
    resolver = Resolver(clock=clock, lookup=lookup)
    for _ in range(2):
        with pytest.raises(UpstreamUnavailableError):
            await resolve(resolver)
    assert lookup.asked == 1
    clock.pass_s(1.1)
    assert await resolve(resolver) == ["10.0.0.1"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(["10.0.0.1", "127.0.0.1"], id="one-of-two-not-listed"),
        pytest.param(["169.254.169.254"], id="metadata"),
        pytest.param(["::ffff:10.0.0.1"], id="mapped"),
        pytest.param([], id="none"),
        pytest.param(["fe80::1%eth0"], id="scoped"),
        pytest.param(["10.0.0.1", "rubbish"], id="rubbish"),
    ],
)
async def test_every_address_of_a_name_must_be_allowed(answer):
    resolver = Resolver(clock=FixedClock(), lookup=FixedLookup(answer))
    with pytest.raises(UpstreamUnavailableError):
        await resolve(resolver)


async def test_a_name_that_is_rebound_is_judged_anew():
    lookup, clock = FixedLookup(["93.184.216.34"], ["127.0.0.1"]), FixedClock()
    resolver = Resolver(clock=clock, lookup=lookup, ttl_s=1)
    assert await resolve(resolver) == ["93.184.216.34"]
    clock.pass_s(2)
    with pytest.raises(UpstreamUnavailableError):
        await resolve(resolver)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "a.", "127.1"])
async def test_hosts_that_may_be_numbers_are_not_looked_up(host):
    lookup = FixedLookup(["93.184.216.34"])
    with pytest.raises(UpstreamUnavailableError):
        await resolve(Resolver(clock=FixedClock(), lookup=lookup), host=host)
    assert lookup.asked == 0


async def test_an_address_needs_no_lookup_but_the_same_permission():
    lookup = FixedLookup([])
    resolver = Resolver(clock=FixedClock(), lookup=lookup)
    assert await resolve(resolver, host="10.1.1.1") == ["10.1.1.1"]
    with pytest.raises(UpstreamUnavailableError):
        await resolve(resolver, host="127.0.0.1")
    assert lookup.asked == 0


async def test_a_resolver_that_hangs_is_given_up():
    async def hang(host, port):
        await asyncio.Event().wait()

    resolver = Resolver(clock=FixedClock(), lookup=hang, timeout_s=0.01)
    with pytest.raises(UpstreamUnavailableError):
        await resolve(resolver)


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        pytest.param("pypi.example", "pypi.example.", id="a-name"),
        pytest.param("pypi", "pypi.", id="a-short-name"),
        pytest.param("localhost", "localhost", id="our-own"),
    ],
)
async def test_an_absolute_name_is_asked_for_by_no_search_list(host, asked):
    hosts = []

    async def lookup(name, port):
        hosts.append(name)
        return ["10.0.0.1"]

    resolver = Resolver(clock=FixedClock(), lookup=absolute(lookup))
    assert await resolve(resolver, host=host) == ["10.0.0.1"]
    assert hosts == [asked]


class HeldLookup:
    """Answers when it is let."""

    def __init__(self):
        self.asked = 0
        self.begun = asyncio.Event()
        self.let = asyncio.Event()

    async def __call__(self, host, port):
        self.asked += 1
        self.begun.set()
        await self.let.wait()
        return ["10.0.0.1"]


@pytest.mark.parametrize("is_left", [False, True], ids=["who-asks-stays", "who-asks-leaves"])
async def test_a_name_is_asked_for_once_for_all_who_want_it(is_left):
    lookup = HeldLookup()
    resolver = Resolver(clock=FixedClock(), lookup=lookup, timeout_s=5)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(resolve(resolver))
        await lookup.begun.wait()
        others = [group.create_task(resolve(resolver)) for _ in range(20)]
        await asyncio.sleep(0)
        if is_left:
            first.cancel()
        lookup.let.set()
    assert [one.result() for one in others] == [["10.0.0.1"]] * 20
    assert lookup.asked == 1 + is_left
    assert resolver._asking == {}
