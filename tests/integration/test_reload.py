"""A reload is refused whole: nothing of a file that fails is in force, policy least of all."""

import asyncio
import os
from pathlib import Path

import orjson
import pytest
import yaml

from outrider.app import Sidecar
from outrider.config.load import load
from outrider.core.errors import ConfigError
from tests.support.policy import ALLOW_ALL, DENY_ALL, write_tree
from tests.support.sidecar import World, a_world


def _settings(**changes: object) -> dict[str, object]:
    return {
        "identity": {"spiffe_id": "spiffe://acme.test/agent"},
        "listeners": {
            name: {"addresses": ["127.0.0.1:0"]} for name in ("egress", "control", "telemetry")
        },
        "policy": {"path": "deny", "watch": False},
        **changes,
    }


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"credentials": {"c": {"file": "x", "header": "not a header"}}}, id="header"),
        pytest.param({"stores": {"kind": "memory"}}, id="fixed-at-start"),
        pytest.param({"limits": {"body_bytes": 1}}, id="range"),
        pytest.param({"limits": {"audit_queue": 64}}, id="fixed-limit"),
    ],
)
async def test_a_file_that_fails_changes_no_policy(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    write_tree(tmp_path / "deny", {"outrider/main.rego": DENY_ALL})
    write_tree(tmp_path / "allow", {"outrider/main.rego": ALLOW_ALL})
    config = tmp_path / "outrider.yaml"
    config.write_text(yaml.safe_dump(_settings()))
    loaded = await asyncio.to_thread(load, config, {})
    async with Sidecar(loaded, os.environ) as sidecar:
        before = sidecar.keeper.active().revision
        config.write_text(
            yaml.safe_dump(_settings(policy={"path": "allow", "watch": False}, **changes))
        )
        with pytest.raises(ConfigError):
            await sidecar.reload()
        assert sidecar.keeper.active().revision == before
        config.write_text(yaml.safe_dump(_settings(policy={"path": "allow", "watch": False})))
        await sidecar.reload()
        assert sidecar.keeper.active().revision != before


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"engine": "opa"}, id="engine"),
        pytest.param({"entrypoint": "data.outrider.other"}, id="entrypoint"),
        pytest.param({"max_staleness_s": 60}, id="max_staleness_s"),
        pytest.param({"opa": {"connections": 9}}, id="opa"),
        pytest.param({"watch": True}, id="watch"),
    ],
)
async def test_what_of_policy_is_fixed_at_the_start_is_named(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    write_tree(tmp_path / "deny", {"outrider/main.rego": DENY_ALL})
    config = tmp_path / "outrider.yaml"
    config.write_text(yaml.safe_dump(_settings()))
    loaded = await asyncio.to_thread(load, config, {})
    async with Sidecar(loaded, os.environ) as sidecar:
        policy = {"path": "deny", "watch": False, **changes}
        config.write_text(yaml.safe_dump(_settings(policy=policy)))
        with pytest.raises(ConfigError, match=rf"policy\.{next(iter(changes))}[a-z.]*: cannot"):
            await sidecar.reload()


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"upstreams": {"d": {"url": "http://[::1/d", "prefix": "/d"}}}, id="url"),
        pytest.param({"policy": {"path": "a\0b", "watch": False}}, id="nul-in-a-path"),
        pytest.param({"data_dir": "~nobody-of-that-name"}, id="home-of-nobody"),
    ],
)
async def test_a_slip_of_the_pen_is_told_and_changes_nothing(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    write_tree(tmp_path / "deny", {"outrider/main.rego": DENY_ALL})
    config = tmp_path / "outrider.yaml"
    config.write_text(yaml.safe_dump(_settings()))
    async with Sidecar(await asyncio.to_thread(load, config, {}), os.environ) as sidecar:
        before = sidecar.plane, sidecar.loaded
        config.write_text(yaml.safe_dump(_settings(**changes)))
        await sidecar.try_reload()
        assert (sidecar.plane, sidecar.loaded) == before
        assert not _last_reload_was_good(sidecar)


async def test_the_start_says_where_it_listens_and_each_refused_change_all_its_faults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tree(tmp_path / "deny", {"outrider/main.rego": DENY_ALL})
    config = tmp_path / "outrider.yaml"
    config.write_text(yaml.safe_dump(_settings()))
    async with Sidecar(await asyncio.to_thread(load, config, {}), os.environ) as sidecar:
        places = sidecar.control.addresses, sidecar.telemetry.addresses
        wrong = {"in_flight": 0, "wait_queue": -1}
        config.write_text(yaml.safe_dump(_settings(limits=wrong)))
        await sidecar.try_reload()
    lines = [orjson.loads(line) for line in capsys.readouterr().err.splitlines()]
    said = {line["event"]: line for line in lines}
    started = said["started"]
    assert (started["ingress"], started["control"], started["telemetry"]) == (
        "closed", ",".join(places[0]), ",".join(places[1])
    )  # fmt: skip
    fault = said["config_refused"]["fault"]
    assert "limits.in_flight is 0; give 1 or more (the range is 1 to 65536); limits.wait" in fault
    assert fault.isprintable()


@pytest.mark.parametrize(
    "fault", [ValueError("x"), RuntimeError("x"), RecursionError(), KeyError()]
)
async def test_whatever_a_reading_raises_leaves_the_last_good_settings(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: Exception,
) -> None:
    write_tree(tmp_path / "deny", {"outrider/main.rego": DENY_ALL})
    config = tmp_path / "outrider.yaml"
    config.write_text(yaml.safe_dump(_settings()))
    async with Sidecar(await asyncio.to_thread(load, config, {}), os.environ) as sidecar:
        before = sidecar.plane, sidecar.loaded

        def fails(*_: object) -> None:
            raise fault

        with monkeypatch.context() as patch:
            patch.setattr("outrider.app.sidecar.load", fails)
            await sidecar.try_reload()
        assert (sidecar.plane, sidecar.loaded) == before
        assert not _last_reload_was_good(sidecar)
        await sidecar.reload()
        assert sidecar.plane is not before[0]
        assert _last_reload_was_good(sidecar)


async def test_limits_are_taken_by_everything_they_bind() -> None:
    async with a_world() as world:
        big = b'{"x":"' + b"a" * 3000 + b'"}'
        assert (await world.post("/desk/tickets", big)).status == 200
        await _take(world, "limits", body_bytes=2000)
        assert (await world.post("/desk/tickets", big)).status == 413
        await _take(world, "limits", body_bytes=4000, buffered_bytes=2048)
        assert (await world.post("/desk/tickets", big)).status == 503
        await _take(world, "limits", body_bytes=4000, connection_requests=1)
        async with world.client() as client:
            await client.send(world.head("GET", "/desk/tickets"))
            assert (await client.answer()).field("connection") == "close"
        await _take(world, "limits", in_flight=1, wait_queue=0)
        leave = await world.sidecar.plane.enforcer._parts.slots.enter("spiffe://x/y", "desk")
        assert (await world.get("/desk/tickets")).status == 503
        leave()


async def _take(world: World, key: str, **changes: object) -> None:
    file = world.room / "outrider.yaml"
    document = yaml.safe_load(file.read_text())
    document[key] = changes
    file.write_text(yaml.safe_dump(document))
    await world.sidecar.reload()


def _last_reload_was_good(sidecar: Sidecar) -> bool:
    return bool(sidecar.metrics.registry.get_sample_value("outrider_config_last_reload_successful"))
