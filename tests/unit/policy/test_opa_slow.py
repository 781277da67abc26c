"""The stock client on our socket, and the traps it came with (POLICY §3)."""

import asyncio

import aiohttp
import pytest

from outrider.policy.opa_slow import OpaControl
from tests.support.fake_opa import Fault, a_result, an_answer, fake_opa

STATUS = {
    "result": {
        "bundles": {
            "outrider": {
                "message": "error(s) occurred\n while compiling",
                "errors": [
                    {"message": "undefined function foo", "location": {"file": "x.rego", "row": 2}}
                ],
            }
        }
    }
}


async def test_readiness_asks_for_bundles_on_the_private_socket():
    async with fake_opa(an_answer(b"{}")) as opa, OpaControl(opa.path) as control:
        assert await control.ready()
    assert opa.requests[0].startswith(b"GET /health?bundles=True HTTP/1.1")


async def test_not_ready_is_said_at_once_and_not_asked_again():
    async with fake_opa(an_answer(b"{}", status=500)) as opa, OpaControl(opa.path) as control:
        async with asyncio.timeout(0.25):  # the stock client sleeps 0.3 s before it tries again
            assert not await control.ready()
    assert len(opa.requests) == 1


async def test_an_evaluation_error_is_raised_without_a_sleep():
    async with fake_opa(an_answer(b"{}", status=500)) as opa, OpaControl(opa.path) as control:
        async with asyncio.timeout(0.25):
            with pytest.raises(aiohttp.ClientResponseError):
                await control.query_rule({}, "outrider", "decision")
    assert len(opa.requests) == 1


async def test_nobody_listening_is_said_without_a_sleep(tmp_path):
    async with OpaControl(tmp_path / "none") as control, asyncio.timeout(0.25):
        assert not await control.ready()
        assert await control.bundle_fault() is None


async def test_silence_ends_with_the_timeout():
    async with fake_opa(Fault.HANG) as opa, OpaControl(opa.path, timeout_s=0.1) as control:
        assert await control.bundle_fault() is None


async def test_undefined_is_an_empty_object_here_which_is_why_decisions_do_not_come_this_way():
    async with fake_opa(an_answer(b"{}")) as opa, OpaControl(opa.path) as control:
        assert await control.query_rule({}, "outrider", "decision") == {}


@pytest.mark.parametrize("empty", [{}, [], 0, False])
async def test_an_empty_input_is_sent_and_not_dropped(empty):
    async with fake_opa(a_result(True)) as opa, OpaControl(opa.path) as control:
        await control.query_rule(empty, "outrider", "decision")
    assert b'"input"' in opa.requests[0]


async def test_what_opa_says_of_its_bundle_comes_with_file_and_line():
    async with fake_opa(an_answer(STATUS)) as opa, OpaControl(opa.path) as control:
        fault = await control.bundle_fault()
    assert fault == "x.rego:2: undefined function foo; error(s) occurred while compiling"


@pytest.mark.parametrize(
    "document",
    [{}, [], {"result": None}, {"result": {"bundles": {"o": {"errors": [7], "message": 3}}}}],
)
async def test_a_status_that_says_nothing_is_no_fault(document):
    async with fake_opa(an_answer(document)) as opa, OpaControl(opa.path) as control:
        assert await control.bundle_fault() is None


async def test_a_status_that_is_not_json_is_no_fault():
    async with fake_opa(an_answer(b"<html>")) as opa, OpaControl(opa.path) as control:
        assert await control.bundle_fault() is None
