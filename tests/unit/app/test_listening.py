"""Both listeners as one: ingress is there where something can be called, and goes with egress."""

from typing import Any

import pytest

from outrider.app.listening import AgentListeners, lets_in
from outrider.config.settings import Settings
from outrider.config.upstream_settings import Upstream
from outrider.server.pressure import Level


class RecordingListener:
    """As much of a listener as pressure is put on."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def close_idle(self, quiet_s: float = 0.0) -> None:
        self.asked.append("close idle")

    def abort_largest(self) -> None:
        self.asked.append("abort largest")


def listeners(*, ingress: bool) -> tuple[AgentListeners, list[RecordingListener]]:
    made: list[Any] = [RecordingListener() for _ in range(1 + ingress)]
    return AgentListeners(egress=made[0], ingress=made[1] if ingress else None), made


@pytest.mark.parametrize(
    ("directions", "opened"),
    [
        pytest.param((), False, id="no-upstreams"),
        pytest.param(("egress", "egress"), False, id="only-what-the-agent-reaches"),
        pytest.param(("egress", "ingress"), True, id="the-agent-can-be-called"),
    ],
)
def test_ingress_is_opened_where_an_upstream_is_the_agent_itself(
    directions: tuple[Any, ...], opened: bool
) -> None:
    upstreams = {
        f"u{index}": Upstream(url="http://127.0.0.1:9", direction=direction)
        for index, direction in enumerate(directions)
    }
    assert lets_in(Settings(upstreams=upstreams)) is opened


@pytest.mark.parametrize(
    ("level", "asked"),
    [
        pytest.param(Level.CALM, [], id="calm"),
        pytest.param(Level.TRIM, ["close idle"], id="trim"),
        pytest.param(Level.SOFT, ["close idle", "abort largest"], id="soft"),
    ],
)
@pytest.mark.parametrize("ingress", [False, True], ids=["egress-alone", "both"])
def test_pressure_is_given_way_to_on_every_listener(
    level: Level, asked: list[str], ingress: bool
) -> None:
    both, made = listeners(ingress=ingress)
    both.relieve(level)
    assert [listener.asked for listener in made] == [asked] * (1 + ingress)
    assert len(both.all) == 1 + ingress


@pytest.mark.parametrize("ingress", [False, True], ids=["egress-alone", "both"])
def test_without_an_identity_only_strangers_connections_are_not_kept(ingress: bool) -> None:
    both, made = listeners(ingress=ingress)
    both.leave_strangers()
    assert [listener.asked for listener in made] == [[], ["close idle"]][: 1 + ingress]
