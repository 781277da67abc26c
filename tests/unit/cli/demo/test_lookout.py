"""What is printed while the demonstration is up is true of that stage."""

import socket
from pathlib import Path

import pytest
import yaml

from outrider.cli.demo.lookout import PROMETHEUS, listens, places
from outrider.cli.demo.stage import Stage, set_up


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return set_up(tmp_path)


def test_every_place_is_one_of_this_stage(stage: Stage) -> None:
    told = dict(places(stage, is_up=lambda port: False))
    assert told["metrics"] == f"curl -s http://127.0.0.1:{stage.ports.telemetry}/metrics"
    assert f":{stage.ports.telemetry}/readyz" in " ".join(told.values())
    assert f":{stage.ports.control}/v1/status" in " ".join(told.values())


def test_the_token_itself_is_not_printed(stage: Stage) -> None:
    told = " ".join(text for pair in places(stage, is_up=lambda port: False) for text in pair)
    assert stage.desk not in told
    assert stage.agent_secret not in told
    assert "$(cat " in told


def test_a_prometheus_is_pointed_at_this_sidecar_under_the_labels_the_rules_ask_for(
    stage: Stage,
) -> None:
    *_, (what, command) = places(stage, is_up=lambda port: False)
    file = stage.home / "prometheus.yaml"
    assert "127.0.0.1:9090" in what
    assert f"--config.file={file}" in command
    document = yaml.safe_load(file.read_text("utf-8"))
    (job,) = document["scrape_configs"]
    (targets,) = job["static_configs"]
    assert job["job_name"] == "outrider"
    assert targets["targets"] == [f"127.0.0.1:{stage.ports.telemetry}"]
    assert set(targets["labels"]) == {"namespace", "pod", "agent"}


def test_rules_are_loaded_where_the_working_copy_has_them(stage: Stage) -> None:
    places(stage, is_up=lambda port: False)
    document = yaml.safe_load((stage.home / "prometheus.yaml").read_text("utf-8"))
    (pattern,) = document["rule_files"]
    assert list(Path(pattern).parent.glob("recording.yaml"))


def test_where_one_runs_already_it_is_told_what_to_give_it(stage: Stage) -> None:
    *_, (what, command) = places(stage, is_up=lambda port: port == PROMETHEUS)
    assert "if it is your Prometheus" in what
    assert command == f"cat {stage.home / 'prometheus.yaml'}"


def test_what_listens_is_found_and_what_does_not_is_not() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        assert listens(port)
    assert not listens(port)
