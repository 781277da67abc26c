"""One budget over one shared store, several workers, and everything going wrong.

200 seeded runs: workers are killed at random moments, connections cut in either direction, the
server gone for a while. Whatever happens: the limit holds at every moment and nothing falls below
zero, no event is counted twice, what a worker was told was counted was counted, what it was told
was not, was not.
"""

import asyncio
import secrets
import sys
from collections import Counter
from contextlib import AsyncExitStack
from random import Random

import pytest

from tests.support.budget_worker import KEY, Budget, Fate, Worker, a_ledger, at_work
from tests.support.chaos_proxy import Fate as Piece, Way, chaos
from tests.support.shared_store import prefix, server, straight, through_chaos

__all__ = ["prefix", "server"]

LIMIT = 12
CALLS = 16
IN_PROCESS = 188
IN_CHILDREN = 12


def _held(told: dict[str, Fate], budget: Budget) -> None:
    """The laws, of what the workers were told and what stands in the store at the end."""
    assert not budget.lost
    assert set(budget.counted.values()) <= {1}
    assert set(budget.returned.values()) <= {1}
    assert budget.returned.keys() <= budget.counted.keys()
    assert budget.used == len(budget.counted) - len(budget.returned)
    assert 0 <= budget.lowest <= budget.used <= budget.highest <= LIMIT
    for name, fate in told.items():
        if fate is not Fate.UNKNOWN:
            assert (name in budget.counted) == (fate is Fate.COUNTED), (name, fate)


def _unruly(random: Random, rate: float):
    """A plan by which pieces are cut or delayed now and then."""

    def plan(way: Way) -> Piece:
        del way
        luck = random.random()
        if luck < rate:
            return Piece.CUT
        return Piece.DELAY if luck < 3 * rate else Piece.PASS

    return plan


async def _at_the_end(server, prefix) -> Budget:
    async with straight(server.path, prefix) as states, at_work(states) as ledger:
        return await ledger.look(KEY)


async def _run(seed, server, folder) -> tuple[dict[str, Fate], Budget]:
    """Three workers behind proxies of their own; one may die, the server may be gone a while."""
    random = Random(seed)  # noqa: S311 - a seed, so that a run can be had again
    own = f"test:{secrets.token_hex(8)}"
    told: dict[str, Fate] = {}
    async with AsyncExitStack() as stack:
        proxies = []
        async with asyncio.TaskGroup() as group:
            for name in "abc":
                states, proxy = await stack.enter_async_context(
                    through_chaos(server, folder, own, timeout_s=1.0)
                )
                proxy.plan, proxy.delay_s = _unruly(random, 0.04), 0.001
                proxies.append(proxy)
                worker = Worker(
                    name=name,
                    seed=random.randrange(1 << 30),
                    calls=CALLS,
                    limit=LIMIT,
                    at_once=random.choice((1, 4, 8)),
                    say=told.__setitem__,
                )
                dies = name == "a" and random.random() < 0.5
                group.create_task(_life(worker, states, proxy if dies else None, random))
            group.create_task(_trouble(proxies, random))
    return told, await _at_the_end(server, own)


async def _life(worker, states, killer, random) -> None:
    """A worker's life; one that is killed leaves everything as it is, and never comes back."""
    if killer is None:
        async with at_work(states) as ledger:
            await worker.work(ledger)
        return
    ledger = a_ledger(states)
    try:
        async with asyncio.timeout(random.uniform(0.0, 0.03)), asyncio.TaskGroup() as group:
            group.create_task(ledger.run())
            group.create_task(worker.work(ledger))
    except TimeoutError:
        killer.down = True
        killer.cut()


async def _trouble(proxies, random) -> None:
    """The server is gone for all of them, for a moment."""
    if random.random() < 0.5:
        await asyncio.sleep(random.uniform(0.0, 0.02))
        for proxy in proxies:
            proxy.cut()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("part", range(6))
async def test_seeded_runs_keep_the_books_right(server, tmp_path, part):
    fates: Counter[Fate] = Counter()
    for seed in range(part, IN_PROCESS, 6):
        told, budget = await _run(seed, server, tmp_path)
        try:
            _held(told, budget)
        except AssertionError as fault:
            raise AssertionError(f"seed {seed}: {told} {budget}") from fault
        fates.update(told.values())
    assert fates[Fate.COUNTED] > 100
    assert fates[Fate.REFUSED] > 10
    assert fates[Fate.FAILED] + fates[Fate.UNKNOWN] > 10


def _worker(name, calls, limit=LIMIT, *, seed=0, at_once=4, back_percent=40) -> Worker:
    return Worker(
        name=name,
        seed=seed,
        calls=calls,
        limit=limit,
        at_once=at_once,
        say=_nobody,
        back_percent=back_percent,
    )


def _nobody(name: str, fate: Fate) -> None:
    del name, fate


# --- processes of their own ------------------------------------------------------------------


class Child:
    """A worker in a process of its own; `told` is what it said before it ended."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.told: dict[str, Fate] = {}

    def go(self) -> None:
        self._process.stdin.write(b"\n")

    def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()

    async def done(self) -> None:
        async with asyncio.timeout(30):
            async for line in self._process.stdout:
                if line.endswith(b"\n"):  # one that was killed may leave half a line
                    name, _, fate = line.decode().strip().partition(" ")
                    self.told[name] = Fate(fate)
            await self._process.wait()


async def _child(path, prefix, worker: Worker) -> Child:
    numbers = [
        str(number)
        for number in (
            worker.seed, worker.calls, worker.limit, worker.at_once, worker.back_percent,
        )
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.budget_worker", str(path), prefix, worker.name),
        *numbers,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert await process.stdout.readline() == b"ready\n"
    return Child(process)


@pytest.mark.timeout(120)
async def test_seeded_runs_with_killed_processes_keep_the_books_right(server, tmp_path):
    for seed in range(IN_CHILDREN):
        random = Random(seed)  # noqa: S311 - as above
        own = f"test:{secrets.token_hex(8)}"
        path = tmp_path / f"{seed}.sock"
        async with chaos(path, server.path) as proxy:
            proxy.plan, proxy.delay_s = _unruly(random, 0.02), 0.001
            workers = [_worker(name, 60, seed=seed) for name in "ab"]
            children = await asyncio.gather(*(_child(path, own, one) for one in workers))
            async with asyncio.TaskGroup() as group:
                for child in children:
                    child.go()
                    group.create_task(child.done())
                await asyncio.sleep(random.uniform(0.0, 0.3))
                if random.random() < 0.5:
                    proxy.cut()
                children[random.randrange(2)].kill()
        told = children[0].told | children[1].told
        _held(told, await _at_the_end(server, own))


@pytest.mark.parametrize("limit", [1, 10, 25])
async def test_of_one_call_too_many_over_two_processes_exactly_the_limit_passes(
    server, tmp_path, prefix, limit
):
    first, second = (limit + 1) // 2, (limit + 2) // 2
    path = tmp_path / "slow.sock"
    async with chaos(path, server.path) as proxy:
        proxy.plan, proxy.delay_s = (lambda way: Piece.DELAY), 0.002
        children = [
            await _child(path, prefix, _worker("a", first, limit, at_once=first, back_percent=0)),
            await _child(path, prefix, _worker("b", second, limit, at_once=second, back_percent=0)),
        ]
        for child in children:
            child.go()
        for child in children:
            await child.done()
    fates = Counter([*children[0].told.values(), *children[1].told.values()])
    assert fates == {Fate.COUNTED: limit, Fate.REFUSED: 1}
