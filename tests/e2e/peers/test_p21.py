"""P21: nothing is retried blindly; what is not known is said, in the outcome or in a gap.

A crash by signal is `tests/e2e/faults/test_process.py`; here the chain of a live sidecar is taken
as a crash would leave it.
"""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.audit import an_open_log, report_of
from tests.support.sidecar import GuardedUpstream, McpUpstream, a_world, records_in
from tests.support.sidecar_mcp import call, hold_answers, reason_of


class _Loses(McpUpstream):
    """Reads a call, does it, and loses the reply."""

    async def answer(self, turn: Any, seen: Any) -> None:
        if b"tools/list" in seen.body:
            await McpUpstream.answer(self, turn, seen)
        else:
            turn.reset()


@pytest.mark.parametrize("tool", ["update", "echo"], ids=["write", "read"])
@pytest.mark.parametrize("wire", ["legacy", "modern"])
async def test_P21_a_lost_reply_is_unknown_and_not_repeated(tool: str, wire: str) -> None:
    async with a_world(upstreams={"crm": _Loses()}) as world:
        answer = await world.raw(getattr(world, wire)(call(tool)))
        assert reason_of(answer) == "upstream_error"
        await world.quiet()
        calls = [seen for seen in world.crm.seen if b"tools/call" in seen.body]
        assert len(calls) == 1
        outcome = world.records("outcome")[-1]["outcome"]
        assert (outcome["status"], outcome["error"]) == ("unknown", "upstream_error")


async def test_P21_a_reply_that_came_is_no_unknown() -> None:
    failing = GuardedUpstream(answers=(b"HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\nno",))
    async with a_world(upstreams={"desk": failing}) as world:
        assert (await world.post("/desk/tickets", b"{}")).status == 500
        await world.quiet()
        assert world.records("outcome")[-1]["outcome"]["status"] == "failed"
        assert len(world.desk.seen) == 1


async def test_P21_a_crash_between_decision_and_outcome_leaves_a_gap(tmp_path: Path) -> None:
    async with a_world() as world:
        await world.raw(world.legacy(call()))
        hold = hold_answers(world)
        async with world.client() as client:
            await client.send(world.legacy(call("update")))
            await client.answer(head_only=True)
            shutil.copytree(world.audit, tmp_path / "audit")
            hold.set()
            await client.reader.readuntil(b"\r\n0\r\n\r\n")
        await world.quiet()
        decision = world.decisions("allow")[-1]["decision"]["id"]
        assert report_of(tmp_path / "audit").unresolved == (decision,)
        assert world.records("gap") == []
    async with an_open_log(tmp_path / "audit"):
        pass
    gaps = records_in(tmp_path / "audit", "gap")
    assert [gap["gap"]["decisions"] for gap in gaps] == [[decision]]
    assert report_of(tmp_path / "audit").broken is None
