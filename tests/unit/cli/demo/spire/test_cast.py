"""Who is registered with SPIRE as what, and how a sidecar is started."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from outrider.cli.demo.children import BrokenPartError, Child
from outrider.cli.demo.spire import cast as casting
from outrider.cli.demo.spire.cast import Cast
from outrider.cli.demo.spire.forger import Partner
from outrider.cli.demo.spire.programs import Programs
from outrider.cli.demo.spire.stage import Party, Ports, Stage, set_up
from outrider.core.clock import SystemClock
from tests.unit.cli.demo.spire.test_nodes import FAKE, said


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return set_up(tmp_path, own_users=False)


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    program = tmp_path / "spire-program"
    program.write_text(FAKE, "utf-8")
    program.chmod(0o755)
    return Programs(server=program, agent=program)


@pytest.fixture
def cast(stage: Stage, programs: Programs) -> Iterator[Cast]:
    with ExitStack() as stack:
        yield casting.start_spire(stack, stage, programs, environ={}, clock=SystemClock())


def a_party(uid: int | None) -> Party:
    ports = Ports(egress=1, ingress=2, control=3, telemetry=4)
    return Party(name="planner", home=Path("/x"), ports=ports, uid=uid)


def test_parties_of_one_uid_have_an_agent_each(cast: Cast) -> None:
    assert {name: node.id for name, node in cast.nodes.items()} == {
        "planner": "spiffe://a.test/planner-node",
        "directory": "spiffe://a.test/directory-node",
    }
    created = [words for words in said(cast.server) if words[:2] == ["entry", "create"]]
    for words, name in zip(created, ("planner", "directory"), strict=True):
        given: dict[str, str] = dict(zip(words[2::2], words[3::2], strict=True))
        assert given["-spiffeID"] == f"spiffe://a.test/{name}"
        assert given["-parentID"] == f"spiffe://a.test/{name}-node"
        assert given["-selector"] == f"unix:uid:{os.getuid()}"
        assert given["-federatesWith"] == "spiffe://b.test"


def test_the_partner_is_known_before_anybody_is_registered_who_federates_with_it(
    cast: Cast,
) -> None:
    words = [words[:4] for words in said(cast.server)]
    known = words.index(["bundle", "set", "-id", "spiffe://b.test"])
    assert all(one[:2] != ["entry", "create"] for one in words[:known])
    assert (cast.server.home / "b.test.bundle").read_bytes() == cast.partner.bundle()


def test_a_sidecar_runs_under_its_own_uid_where_it_has_one() -> None:
    own = casting.sidecar_command(a_party(None), "python")
    assert own[0] == "python"
    assert own[-3:] == ["run", "--config", "/x/outrider.yaml"]
    other = casting.sidecar_command(a_party(61_001), "python")
    assert other[:3] == ["setpriv", "--reuid", "61001"]
    assert other[-len(own) :] == own


def test_a_sidecar_that_ended_is_named_not_waited_for(stage: Stage, tmp_path: Path) -> None:
    nothing: Any = None
    cast = Cast(server=nothing, nodes={}, partner=Partner("b.test", 0.0))
    command = [sys.executable, "-c", "raise SystemExit('no such setting')"]
    log = tmp_path / "sidecar.log"
    with Child("planner's sidecar", command, log=log, environ={}, is_read=False) as child:
        cast.sidecars["planner"] = child
        with pytest.raises(BrokenPartError, match=r"planner's sidecar ended\n.*no such setting"):
            casting.wait_ready(cast, stage, SystemClock())
