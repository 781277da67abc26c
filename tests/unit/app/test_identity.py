"""What follows when identities change: acted on at each swap, put on the chain once."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from outrider.app.identity import IdentityWatch, OwnIdentity
from outrider.config.load import Loaded, validate
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import JsonObject
from outrider.identity.snapshot import OwnSvid, Snapshot
from outrider.identity.spiffe_id import parse_spiffe_id
from tests.support.builders import AGENT, NOW_UNIX_S, FixedClock
from tests.support.identity import RecordingIdentityEvents


def settings_of(**identity: Any) -> Loaded:
    return Loaded(settings=validate({"identity": identity}), base=Path(), source=None, pod_uid=None)


def an_svid(leaf: str, expires_unix_s: float = NOW_UNIX_S + 100) -> OwnSvid:
    held: Any = SimpleNamespace(cert_chain=[leaf])
    return OwnSvid(
        spiffe_id=parse_spiffe_id(AGENT),
        svid=held,
        begins_unix_s=NOW_UNIX_S - 100,
        expires_unix_s=expires_unix_s,
        leaf_sha256=leaf,
    )


class Watched:
    """A watch over an identity of source `files` that is never read."""

    def __init__(self) -> None:
        self.clock = FixedClock()
        loaded = settings_of(source="files", files={"directory": "."})
        self.identity = OwnIdentity(loaded, self.clock, RecordingIdentityEvents())
        self.acted: list[Snapshot] = []
        self.recorded: list[JsonObject] = []
        self.watch = IdentityWatch(
            self.identity, act=self.acted.append, record=self.recorded.append
        )

    @property
    def states(self) -> list[object]:
        return [facts["state"] for facts in self.recorded]


async def test_every_swap_is_acted_on_and_each_change_of_ours_recorded_once() -> None:
    watched = Watched()
    keeper = watched.identity.keeper
    keeper.connected(on=True)
    keeper.take_x509(an_svid("aa"), {}, own_domain="acme.test")
    keeper.take_x509(an_svid("aa"), {}, own_domain="acme.test")
    keeper.take_x509(an_svid("bb"), {}, own_domain="acme.test")
    assert [snapshot.generation for snapshot in watched.acted] == [1, 2]
    assert [facts["leaf_sha256"] for facts in watched.recorded] == ["aa", "bb"]
    assert watched.states == ["serving", "serving"]


async def test_an_identity_that_is_taken_away_is_recorded_and_no_longer_holds() -> None:
    watched = Watched()
    keeper = watched.identity.keeper
    keeper.connected(on=True)
    keeper.take_x509(an_svid("aa"), {}, own_domain="acme.test")
    assert watched.identity.own_holds()
    keeper.redact()
    assert watched.states == ["serving", "redacted"]
    assert not watched.identity.own_holds()


async def test_an_svid_that_runs_out_is_told_of_by_the_next_sweep() -> None:
    watched = Watched()
    keeper = watched.identity.keeper
    keeper.connected(on=True)
    keeper.take_x509(an_svid("aa", NOW_UNIX_S + 1), {}, own_domain="acme.test")
    watched.clock.pass_s(2)
    keeper.look()
    assert watched.states == ["serving", "expired"]
    assert not watched.identity.own_holds()


async def test_without_a_source_the_configured_identity_holds_and_nothing_is_recorded() -> None:
    recorded: list[JsonObject] = []
    identity = OwnIdentity(settings_of(), FixedClock(), RecordingIdentityEvents())
    IdentityWatch(identity, act=lambda _: None, record=recorded.append)
    await identity.start()
    identity.keeper.take_jwt({})
    assert (identity.own_holds(), identity.jobs(), recorded) == (True, (), [])


async def test_without_a_source_there_is_no_tls_under_an_svid() -> None:
    identity = OwnIdentity(settings_of(), FixedClock(), RecordingIdentityEvents())
    with pytest.raises(ConfigError, match=r"identity\.source is none"):
        identity.server_context()
