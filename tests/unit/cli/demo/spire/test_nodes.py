"""What SPIRE is told, on its command line and by its environment; held by `tests/e2e/spire`
against the real programs."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from outrider.cli.demo.children import BrokenPartError
from outrider.cli.demo.spire.nodes import Agent, Entry, Ground, Server
from outrider.cli.demo.spire.programs import Programs
from outrider.config.paths import shipped_spire
from outrider.core.clock import SystemClock

FAKE = f"""#!{sys.executable}
import json, os, pathlib, sys, time
words = sys.argv[1:]
kept = {{k: v for k, v in os.environ.items() if k.startswith("SPIRE_")}}
with open(os.environ["SPIRE_DIR"] + "/said.jsonl", "a") as said:
    said.write(json.dumps([words, kept]) + "\\n")
if words[0] == "run":
    if pathlib.Path(os.environ["SPIRE_DIR"], "broken").exists():
        sys.exit("bad configuration")
    pathlib.Path(os.environ["SPIRE_DIR"], "up").touch()
    time.sleep(60)
if words[0] == "healthcheck":
    sys.exit(0 if pathlib.Path(os.environ["SPIRE_DIR"], "up").exists() else 1)
if words[:2] == ["token", "generate"]:
    print(json.dumps({{"value": "t-1"}}))
if words[:2] == ["bundle", "show"]:
    print("a bundle")
if words[:2] == ["entry", "create"]:
    print(json.dumps({{"results": [{{"entry": {{"id": "e-1"}}}}]}}))
if words[:2] == ["entry", "delete"]:
    sys.exit("no such entry")
"""


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    home = Path(tmp_path)
    program = home / "spire"
    program.write_text(FAKE, "utf-8")
    program.chmod(0o755)
    both = Programs(server=program, agent=program)
    return Ground(programs=both, home=home, environ={}, clock=SystemClock())


@pytest.fixture
def server(ground: Ground) -> Server:
    return ground.server("a.test", (18081, 18082))


@pytest.fixture
def agent(ground: Ground, server: Server) -> Agent:
    return ground.agent(server)


def heard(node: Server | Agent) -> list[tuple[list[str], dict[str, str]]]:
    """Words and environment of each start but those that only ask how it is."""
    found = map(orjson.loads, (node.home / "said.jsonl").read_bytes().splitlines())
    return [(words, environ) for words, environ in found if words[0] != "healthcheck"]


def said(node: Server | Agent) -> list[list[str]]:
    return [words for words, _ in heard(node)]


def test_a_server_runs_on_the_shipped_configuration(server: Server) -> None:
    with server:
        server.run()
        ((words, environ),) = heard(server)
        assert words[:3] == ["run", "-expandEnv", "-config"]
        assert words[3].endswith("deploy/spire/server.conf")
        assert environ == {
            "SPIRE_DIR": str(server.home),
            "SPIRE_TRUST_DOMAIN": "a.test",
            "SPIRE_PORT": "18081",
            "SPIRE_BUNDLE_PORT": "18082",
            "SPIRE_RELOAD": "200ms",
            "SPIRE_SYNC": "1s",
        }


@pytest.mark.parametrize("name", ["server.conf", "agent.conf"])
def test_every_name_that_the_configuration_asks_for_is_given(server: Server, name: str) -> None:
    text = (shipped_spire() / name).read_text("utf-8")
    asked = set(re.findall(r"\$(SPIRE_\w+)", text))
    assert asked
    assert asked <= server.environ.keys()


def test_an_agent_joins_with_a_token_and_the_bundle_it_must_find(agent: Agent) -> None:
    with agent:
        agent.start()
        assert (agent.home / "bundle.pem").read_text() == "a bundle\n"
        assert said(agent)[0][-2:] == ["-joinToken", "t-1"]
        asked = said(agent.server)
        assert asked[0][:4] == ["bundle", "show", "-format", "pem"]
        assert asked[1][:4] == ["token", "generate", "-spiffeID", "spiffe://a.test/node"]
        assert asked[1][-2:] == ["-socketPath", str(agent.server.socket)]
        assert agent.address == f"unix://{agent.home}/agent.sock"


def test_an_agent_that_was_killed_joins_anew(agent: Agent) -> None:
    with agent:
        agent.start()
        agent.kill()
        agent.start()
    assert [words[0] for words in said(agent.server)] == ["bundle", "token"] * 2


def test_an_entry_says_who_gets_what_below_whom(server: Server) -> None:
    entry = Entry(
        spiffe_id="spiffe://a.test/planner",
        parent="spiffe://a.test/node",
        selector="unix:uid:1001",
        ttl_s=30,
        federates_with=("b.test",),
    )
    assert server.create(entry) == "e-1"
    (words,) = said(server)
    assert words[:-4] == [
        "entry", "create", "-spiffeID", "spiffe://a.test/planner", "-parentID",
        "spiffe://a.test/node", "-selector", "unix:uid:1001", "-x509SVIDTTL", "30",
        "-federatesWith", "spiffe://b.test",
    ]  # fmt: skip


def test_federation_begins_with_the_others_bundle_and_ends_with_it(
    ground: Ground, server: Server
) -> None:
    other = ground.server("b.test", (18083, 18084))
    server.federate(other)
    server.withdraw(other)
    created, *ended = said(server)
    assert created[created.index("-bundleEndpointURL") + 1] == "https://127.0.0.1:18084"
    assert created[created.index("-endpointSpiffeID") + 1] == "spiffe://b.test/spire/server"
    assert Path(created[created.index("-trustDomainBundlePath") + 1]).read_text() == "a bundle\n"
    assert [words[:4] for words in ended] == [
        ["federation", "delete", "-id", "b.test"],
        ["bundle", "delete", "-id", "spiffe://b.test"],
    ]


def test_a_command_that_fails_is_named_with_what_it_said(server: Server) -> None:
    with pytest.raises(BrokenPartError, match="spire entry delete failed: no such entry"):
        server.delete("e-9")


def test_a_node_that_ends_at_once_is_named_with_its_last_words(server: Server) -> None:
    (server.home / "broken").touch()
    with server, pytest.raises(BrokenPartError, match="bad configuration"):
        server.run()


def test_a_path_too_long_for_a_socket_is_said_before_anything_starts(ground: Ground) -> None:
    far = ground.home / ("x" * 100)
    far.mkdir()
    with pytest.raises(BrokenPartError, match="too long a path for a Unix socket"):
        replace(ground, home=far).server("a.test", (1, 2))


def test_a_bundle_that_is_told_once_needs_no_server_behind_it(server: Server) -> None:
    server.know("b.test", b'{"keys": []}')
    (words,) = said(server)
    assert words[:6] == ["bundle", "set", "-id", "spiffe://b.test", "-format", "spiffe"]
    assert Path(words[7]).read_bytes() == b'{"keys": []}'
