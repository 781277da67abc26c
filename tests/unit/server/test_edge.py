import pytest

from outrider.core.errors import ConfigError
from outrider.server import edge as module
from outrider.server.edge import check_parser
from outrider.server.events import ShedCause
from outrider.server.pressure import Pressure
from tests.support.builders import FixedClock
from tests.support.peers import RecordingEvents, running_edge


def test_the_compiled_parser_is_in_use():  # advisory-32-CVE-2026-111750
    check_parser()


def test_the_fallback_parser_is_refused(monkeypatch):
    class Pure:
        __module__ = "aiohttp.http_parser"

    monkeypatch.setattr(module.http_parser, "HttpRequestParser", Pure)
    with pytest.raises(ConfigError, match="compiled parser"):
        check_parser()


async def test_hard_pressure_accepts_no_connection():
    pressure = Pressure(clock=FixedClock(), events=RecordingEvents(), readers={})
    async with running_edge() as edge:
        edge.listener.edge._pressure = pressure
        pressure.note({ShedCause.FDS: 0.99})
        async with edge.client() as client:
            assert await client.rest() == b""
        assert edge.events.count("shed", "fds", "hard") == 1


async def test_a_step_before_that_answers_close():
    pressure = Pressure(clock=FixedClock(), events=RecordingEvents(), readers={})
    pressure.note({ShedCause.FDS: 0.92})
    async with running_edge() as edge, edge.client() as client:
        edge.listener.edge._pressure = pressure
        await client.send(edge.request())
        assert (await client.answer()).field("connection") == "close"


async def test_an_agents_connections_have_a_cap_of_their_own():
    async with (
        running_edge(connections=10, agent_connections=1) as edge,
        edge.client() as first,
        edge.client() as second,
    ):
        await first.send(edge.request())
        assert (await first.answer()).status == 200
        assert await second.rest() == b""
    assert edge.events.open_connections == 0
