"""What every audit log promises."""

from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from outrider.core.errors import AuditUnavailableError
from tests.support.audit import a_record, a_refusal_record, an_open_log, records_of
from tests.support.pipeline import RecordingAudit


@asynccontextmanager
async def _file(tmp_path):
    async with an_open_log(tmp_path) as opened:

        def broken():
            opened.disk.write_error = 5

        yield opened.log, lambda: records_of(tmp_path)[1:], broken


@asynccontextmanager
async def _fake(tmp_path):
    log = RecordingAudit()

    def broken():
        log.broken = True

    yield log, lambda: log.records, broken


@pytest.fixture(params=[_file, _fake], ids=["file", "fake"])
async def opened(request, tmp_path):
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(request.param(tmp_path))


@pytest.mark.parametrize("durable", [True, False])
async def test_an_appended_record_is_kept_with_all_its_members(opened, durable):
    log, kept, _ = opened
    record = a_record("decision", 1)
    await log.append(record, durable=durable, query=b"{}")
    (found,) = kept()
    assert found.items() >= record.items()
    assert log.healthy()


async def test_records_are_kept_in_order_whatever_way_they_came(opened):
    log, kept, _ = opened
    await log.append(a_record("decision", 1), durable=False)
    log.append_nowait(a_record("outcome", 1))
    log.append_refusal(a_refusal_record(2))
    await log.append(a_record("admin", 3), durable=True)
    assert [r["kind"] for r in kept()] == ["decision", "outcome", "decision", "admin"]


async def test_a_record_is_not_changed_by_being_kept(opened):
    log, _, _ = opened
    record = a_record("decision", 1)
    before = dict(record)
    await log.append(record, durable=True)
    assert record == before


async def test_what_cannot_be_written_is_refused(opened):
    log, kept, broken = opened
    broken()
    with pytest.raises(AuditUnavailableError):
        await log.append(a_record("decision", 1), durable=False)
    assert not log.healthy()
    assert kept() == []
