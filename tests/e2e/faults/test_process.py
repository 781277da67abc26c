"""HARDENING §10, rows 16, 24, 26 and 30, on a sidecar in a process of its own."""

import asyncio
import resource
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from outrider.core.jsonvalue import JsonObject
from tests.support.audit import report_of
from tests.support.load import Load
from tests.support.net import UpstreamTurn, dialled
from tests.support.sidecar import PLENTY_S, GuardedUpstream
from tests.support.sidecar_process import Child, a_child

WRITE = b'{"title":"a"}'
TICKS_S = 100


def _requests(child: Child) -> list[bytes]:
    fields = ("Content-Type: application/json", f"Content-Length: {len(WRITE)}")
    post = child.head("POST", "/desk/tickets", *fields) + WRITE
    return [child.head("GET", "/desk/tickets"), post]


class _Held(GuardedUpstream):
    """Reads requests and answers none."""

    async def answer(self, turn: UpstreamTurn, seen: object) -> None:
        await turn.reader.read()


async def test_row_16_a_kill_between_decision_and_outcome_leaves_a_gap(tmp_path: Path) -> None:
    held = _Held()
    async with a_child(tmp_path, {"desk": held}) as child:
        async with child.client() as client:
            await client.send(_requests(child)[1])
            async with asyncio.timeout(PLENTY_S):
                while not held.seen:  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.01)
            child.signal(signal.SIGKILL)
            assert await child.ended() == -signal.SIGKILL
        decision = child.records("decision")[-1]["decision"]
        assert decision["enforced"] == "allow"
        assert report_of(child.audit).unresolved == (decision["id"],)
        await child.start()
        gaps = child.records("gap")
        assert [gap["gap"]["decisions"] for gap in gaps] == [[decision["id"]]]
        report = report_of(child.audit)
        assert (report.broken, report.unresolved, report.chains) == (None, (), 2)
        assert await child.metric("audit_gaps_total") == 1


@pytest.mark.parametrize("delay_s", [0.0, 0.5], ids=["at-once", "after-a-delay"])
async def test_row_24_sigterm_under_load_fails_no_request_and_loses_no_record(
    tmp_path: Path, delay_s: float
) -> None:
    desk = GuardedUpstream(watched=False)
    settings: JsonObject = {"drain": {"delay_s": delay_s}}
    async with a_child(tmp_path, {"desk": desk}, settings=settings) as child:
        load = Load(port=child.ports[0], requests=_requests(child), callers=8)
        async with load:
            await load.more(200)
            child.signal(signal.SIGTERM)
            assert await child.ended() == 0
        assert load.faults() == []
        assert load.statuses() == {200}
        decisions, outcomes = child.records("decision"), child.records("outcome")
        assert len(load.told) == len(desk.seen) == len(decisions) == len(outcomes)
        assert {record["outcome"]["status"] for record in outcomes} == {"executed"}
        report = report_of(child.audit)
        assert (report.broken, report.unresolved) == (None, ())


async def test_row_26_a_bad_reload_changes_nothing_and_a_good_one_swaps_without_a_drop(
    tmp_path: Path,
) -> None:
    desk, other = GuardedUpstream(watched=False), GuardedUpstream(watched=False)
    async with a_child(tmp_path, {"desk": desk, "other": other}) as child:
        good = (tmp_path / "outrider.yaml").read_text("utf-8")
        requests = _requests(child)
        async with Load(port=child.ports[0], requests=requests, pause_s=0.002) as load:
            for bad in ("limits: {body_bytes: 1}\n", "limits: [", "no_such: 1\n"):
                (tmp_path / "outrider.yaml").write_text(bad, "utf-8")
                child.signal(signal.SIGHUP)
                await _until(child, "config_last_reload_successful", 0.0)
                await load.more(20)
                (tmp_path / "outrider.yaml").write_text(good, "utf-8")
                child.signal(signal.SIGHUP)
                await _until(child, "config_last_reload_successful", 1.0)
            moved: JsonObject = {
                "upstreams": {
                    "desk": {"url": f"http://127.0.0.1:{other.port}/desk"},
                    "other": {"url": f"http://127.0.0.1:{desk.port}/other"},
                }
            }
            child.write(moved)
            child.signal(signal.SIGHUP)
            await load.until(lambda: len(other.seen) > 20)
        assert load.statuses() == {200}
        assert len(load.told) == len(desk.seen) + len(other.seen)
        # the old place sees nothing once the new one does
        assert (await child.telemetry("/readyz")).status == 200
        assert child.process is not None
        assert child.process.returncode is None


async def _until(child: Child, metric: str, value: float) -> None:
    async with asyncio.timeout(PLENTY_S):
        while await child.metric(metric) != value:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_S


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def test_row_30_without_descriptors_it_neither_spins_nor_dies(tmp_path: Path) -> None:
    desk = GuardedUpstream(watched=False)
    async with a_child(tmp_path, {"desk": desk}) as child:
        first = _requests(child)[1]
        async with child.client() as kept:
            await kept.send(first)
            assert (await kept.answer()).status == 200
            used = _descriptors(child.pid)
            resource.prlimit(child.pid, resource.RLIMIT_NOFILE, (used + 8, used + 8))
            async with AsyncExitStack() as stack:
                for _ in range(60):
                    await stack.enter_async_context(dialled(child.ports[0]))
                began_s = _cpu_s(child.pid)
                await asyncio.sleep(1.0)  # what is looked for is that nothing happens
                assert _cpu_s(child.pid) - began_s < 0.7
                await kept.send(first)
                answer = await kept.answer()
                assert answer.status in {200, 503}
        async with asyncio.timeout(PLENTY_S):
            while not await _answers(child, first):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
        child.signal(signal.SIGTERM)
        assert await child.ended() == 0
        assert report_of(child.audit).broken is None


async def _answers(child: Child, data: bytes) -> bool:
    try:
        async with child.client() as client:
            await client.send(data)
            return (await client.answer()).status == 200
    except (OSError, asyncio.IncompleteReadError):
        return False
