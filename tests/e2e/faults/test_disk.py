"""HARDENING §10, rows 14 and 15: an audit disk that is full, or does not answer."""

import errno
import threading

from outrider.audit.sinks.file import Disk
from tests.support.audit import FaultyDisk, FullDisk, report_of
from tests.support.sidecar import World, a_world
from tests.support.sidecar_mcp import call, hold_answers, reason_of

WRITE = b'{"title":"a"}'


async def _recovers(world: World) -> None:
    world.put_disk(Disk())
    await world.until(world.sidecar.audit.healthy)
    assert (await world.post("/desk/tickets", WRITE)).status == 200
    await world.quiet()
    report = report_of(world.audit)
    assert (report.broken, report.unresolved) == (None, ())


async def test_row_14_a_full_disk_refuses_and_keeps_room_for_what_is_under_way() -> None:
    async with a_world() as world:
        await world.raw(world.legacy(call()))
        hold = hold_answers(world)
        async with world.client() as client:
            await client.send(world.legacy(call("update")))
            await client.answer(head_only=True)
            world.put_disk(FullDisk(full=True, allocate_error=errno.ENOSPC))
            await world.get("/desk/tickets")  # its record is what meets the reserve
            seen = len(world.desk.seen)
            for data in (
                world.head("GET", "/desk/tickets"),
                world.head("POST", "/desk/tickets", "Content-Length: 2",
                           "Content-Type: application/json") + b"{}",
            ):  # fmt: skip
                answer = await world.raw(data)
                assert (answer.status, reason_of(answer)) == (503, "audit_unavailable")
            assert len(world.desk.seen) == seen
            ready = await world.telemetry("/readyz")
            assert (ready.status, b"audit" in ready.body) == (503, True)
            hold.set()  # the outcome of what was under way fits into the reserve
            await client.reader.readuntil(b"\r\n0\r\n\r\n")
        await world.until(lambda: bool(world.records("outcome")))
        await _recovers(world)


async def test_row_14_a_disk_that_fails_refuses_then_recovers_with_a_gap() -> None:
    async with a_world() as world:
        assert (await world.post("/desk/tickets", WRITE)).status == 200
        failed = world.metric("audit_records_total", result="dropped")
        world.put_disk(FaultyDisk(write_error=5))
        seen = len(world.desk.seen)
        answer = await world.post("/desk/tickets", WRITE)
        assert (answer.status, reason_of(answer)) == (503, "audit_unavailable")
        assert len(world.desk.seen) == seen
        assert b"injected" not in answer.body
        await _recovers(world)
        assert world.records("gap")
        assert world.metric("audit_records_total", result="dropped") >= failed


async def test_row_15_a_disk_that_does_not_answer_blocks_nobody_else() -> None:
    async with a_world(settings={"limits": {"audit_queue": 64}}) as world:
        assert (await world.post("/desk/tickets", WRITE)).status == 200
        gate = threading.Event()
        world.put_disk(FaultyDisk(sync_gate=gate))
        seen = len(world.desk.seen)
        try:
            answer = await world.post("/desk/tickets", WRITE)
            assert (answer.status, reason_of(answer)) == (503, "audit_unavailable")
            assert len(world.desk.seen) == seen
            # the loop turns: liveness and metrics answer while the thread hangs
            assert (await world.telemetry("/livez")).status == 200
            assert (await world.telemetry("/metrics")).status == 200
            assert (await world.get("/desk/tickets")).status == 503
        finally:
            gate.set()
        await _recovers(world)
