"""Our containers and volumes, by plan."""

import pytest

from outrider.config.load import load
from outrider.core.capture import CaptureMode
from outrider.core.jsonvalue import JsonObject
from outrider.injector.parts import parts_of
from outrider.injector.plan import (
    Identity,
    IdentitySource,
    Plan,
    Preset,
    Resources,
    Sidecar,
)
from tests.support.admission import DNS, IMAGE, a_plan


def _named(plan: Plan) -> tuple[list[object], list[object], list[object]]:
    parts = parts_of(plan, (DNS,))
    return (
        [body["name"] for body in parts.init_containers],
        [body["name"] for body in parts.containers],
        [volume["name"] for volume in parts.volumes],
    )


def _container(plan: Plan, name: str) -> JsonObject:
    parts = parts_of(plan, (DNS,))
    (found,) = [b for b in (*parts.init_containers, *parts.containers) if b["name"] == name]
    return found


def _environment(plan: Plan) -> dict[object, object]:
    listed = _container(plan, "outrider")["env"]
    assert isinstance(listed, list)
    return {one["name"]: one.get("value") for one in listed if isinstance(one, dict)}


CLASSIC = a_plan(native_sidecar=False)


@pytest.mark.parametrize(
    ("plan", "init", "containers"),
    [
        pytest.param(
            a_plan(), ["outrider-net-init", "outrider", "outrider-verify"], [], id="transparent"
        ),
        pytest.param(
            a_plan(CaptureMode.ENFORCE_DROP),
            ["outrider-net-init", "outrider", "outrider-verify"],
            [],
            id="enforce-drop",
        ),
        pytest.param(a_plan(CaptureMode.COOPERATIVE), ["outrider"], [], id="cooperative"),
        pytest.param(CLASSIC, ["outrider-net-init"], ["outrider"], id="classic"),
        pytest.param(
            a_plan(CaptureMode.COOPERATIVE, native_sidecar=False),
            [],
            ["outrider"],
            id="classic-cooperative",
        ),
    ],
)
def test_containers_and_their_order(plan: Plan, init: list[str], containers: list[str]) -> None:
    assert _named(plan)[:2] == (init, containers)


def test_every_container_is_of_the_one_image() -> None:
    assert {body["image"] for body in parts_of(a_plan(), (DNS,)).init_containers} == {IMAGE}


def test_only_a_native_sidecar_has_a_restart_policy_and_nothing_has_a_pre_stop() -> None:
    assert _container(a_plan(), "outrider")["restartPolicy"] == "Always"
    assert "restartPolicy" not in _container(CLASSIC, "outrider")
    assert "restartPolicy" not in _container(a_plan(), "outrider-verify")
    assert "lifecycle" not in _container(a_plan(), "outrider")


def test_net_init_runs_nft_itself_with_the_ruleset_alone() -> None:
    body = _container(a_plan(), "outrider-net-init")
    assert body["command"] == ["/usr/bin/nft"]
    (rules,) = body["args"]  # type: ignore[misc]
    assert str(rules).startswith("table inet outrider\n")
    context = body["securityContext"]
    assert isinstance(context, dict)
    assert context["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN"]}
    assert (context["runAsUser"], context["runAsNonRoot"]) == (65534, True)


def test_watching_keeps_verify_and_lets_nothing_start_before_the_first_proof() -> None:
    body = _container(a_plan(capture_watch=True), "outrider-verify")
    once = ["/usr/local/bin/outrider", "capture", "verify", "--mode", "transparent"]
    assert body["command"] == [*once, "--watch"]
    assert body["restartPolicy"] == "Always"
    assert body["startupProbe"]["exec"] == {"command": once}  # type: ignore[index,call-overload]


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (a_plan(capture_watch=True), "true"),
        (a_plan(), "false"),
        (a_plan(CaptureMode.COOPERATIVE, capture_watch=True), "false"),
        (a_plan(native_sidecar=False, capture_watch=True), "false"),
    ],
)
def test_the_sidecar_expects_probes_only_where_they_come(plan: Plan, expected: str) -> None:
    assert _environment(plan)["OUTRIDER_CAPTURE__WATCH"] == expected


def test_the_sidecars_settings_travel_in_its_environment() -> None:
    plan = a_plan(
        sidecar=Sidecar(
            config_map="c", environment=(("OUTRIDER_X", "$(HOME) $5"),), log_level="INFO"
        )
    )
    found = _environment(plan)
    assert next(iter(found)) == "OUTRIDER_POD_UID"
    assert found == {
        "OUTRIDER_POD_UID": None,
        "OUTRIDER_CAPTURE__MODE": "transparent",
        "OUTRIDER_CAPTURE__WATCH": "false",
        "OUTRIDER_CONFIG": "/etc/outrider/outrider.yaml",
        "OUTRIDER_DATA_DIR": "/var/lib/outrider",
        "OUTRIDER_DRAIN__GRACE_S": "20",
        "OUTRIDER_IDENTITY__SOURCE": "workload_api",
        "OUTRIDER_STARTUP_TIMEOUT_S": "90",
        "OUTRIDER_TELEMETRY__LOG_LEVEL": "INFO",
        "OUTRIDER_X": "$$(HOME) $$5",
        "SPIFFE_ENDPOINT_SOCKET": "unix:///spiffe-workload-api/spire-agent.sock",
        "TMPDIR": "/run/outrider",
    }


def test_what_the_injector_sets_cannot_be_set_by_the_environment() -> None:
    plan = a_plan(sidecar=Sidecar(environment=(("OUTRIDER_CAPTURE__MODE", "cooperative"),)))
    assert _environment(plan)["OUTRIDER_CAPTURE__MODE"] == "transparent"


@pytest.mark.parametrize(
    ("source", "volume", "identity"),
    [
        (
            IdentitySource.CSI,
            {"csi": {"driver": "csi.spiffe.io", "readOnly": True}},
            "workload_api",
        ),
        (
            IdentitySource.HOST_PATH,
            {"hostPath": {"path": "/run/spire/agent-sockets", "type": "Directory"}},
            "workload_api",
        ),
        (IdentitySource.FILE, {"csi": {"driver": "csi.spiffe.io", "readOnly": True}}, "files"),
        (IdentitySource.NONE, None, "none"),
    ],
)
def test_identity_comes_from_its_source(
    source: IdentitySource, volume: JsonObject | None, identity: str
) -> None:
    plan = a_plan(identity=Identity(source=source))
    found = [one for one in parts_of(plan, (DNS,)).volumes if one["name"] == "spiffe-workload-api"]
    expected = [] if volume is None else [{"name": "spiffe-workload-api", **volume}]
    assert found == expected
    assert _environment(plan)["OUTRIDER_IDENTITY__SOURCE"] == identity
    mounts = _container(plan, "outrider")["volumeMounts"]
    mount = {"name": "spiffe-workload-api", "mountPath": "/spiffe-workload-api", "readOnly": True}
    assert (mount in mounts) is (volume is not None)  # type: ignore[operator]


def test_only_the_sidecar_mounts_anything() -> None:
    plan = a_plan(sidecar=Sidecar(config_map="c", policy_config_map="p"))
    mounting = [b["name"] for b in parts_of(plan, (DNS,)).init_containers if "volumeMounts" in b]
    assert mounting == ["outrider"]


def test_guaranteed_asks_for_all_it_may_take_in_every_container() -> None:
    plan = a_plan(resources=Resources(preset=Preset.GUARANTEED, cpu_request="250m"))
    for body in parts_of(plan, (DNS,)).init_containers:
        resources = body["resources"]
        assert isinstance(resources, dict)
        assert resources["requests"] == resources["limits"]
    assert _container(plan, "outrider")["resources"] == {
        "requests": {"cpu": "250m", "memory": "512Mi"},
        "limits": {"cpu": "250m", "memory": "512Mi"},
    }


def test_without_a_preset_there_is_no_cpu_limit() -> None:
    assert _container(a_plan(), "outrider")["resources"] == {
        "requests": {"cpu": "50m", "memory": "128Mi"},
        "limits": {"memory": "512Mi"},
    }


@pytest.mark.parametrize(("inbound", "ports"), [(True, [15020, 15006]), (False, [15020])])
def test_the_port_for_peers_is_declared_where_they_may_call(
    inbound: bool, ports: list[int]
) -> None:
    declared = _container(a_plan(sidecar=Sidecar(inbound=inbound)), "outrider")["ports"]
    assert [one["containerPort"] for one in declared] == ports  # type: ignore[union-attr,index,call-overload]


def test_a_server_that_is_none_makes_no_parts() -> None:
    with pytest.raises(ValueError, match="does not appear"):
        parts_of(a_plan(), ("nowhere",))


@pytest.mark.parametrize("source", list(IdentitySource))
@pytest.mark.parametrize("mode", list(CaptureMode))
def test_the_sidecar_reads_its_environment_as_settings(
    mode: CaptureMode, source: IdentitySource
) -> None:
    """What is written here is what `outrider run` starts with in a pod."""
    plan = a_plan(
        mode,
        capture_watch=True,
        identity=Identity(source=source),
        sidecar=Sidecar(log_level="DEBUG", environment=(("OUTRIDER_LIMITS__BODY_BYTES", "2048"),)),
    )
    given = {str(k): str(v).replace("$$", "$") for k, v in _environment(plan).items()}
    given |= {"OUTRIDER_POD_UID": "0b1e", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    loaded = load(None, given)
    settings = loaded.settings
    assert (loaded.pod_uid, settings.data_dir) == ("0b1e", "/var/lib/outrider")
    assert settings.capture.mode == mode.value
    assert settings.capture.watch is (mode is not CaptureMode.COOPERATIVE)
    assert (settings.startup_timeout_s, settings.drain.grace_s) == (90, 20)
    assert settings.telemetry.log_level == "DEBUG"
    assert settings.limits.body_bytes == 2048
    expected = {"csi": "workload_api", "hostPath": "workload_api", "file": "files", "none": "none"}
    assert settings.identity.source == expected[source.value]
    socket = "unix:/spiffe-workload-api/spire-agent.sock"
    wanted = socket if settings.identity.source == "workload_api" else None
    assert loaded.workload_api == wanted


@pytest.mark.parametrize(
    ("environment", "path"),
    [
        ((), "/etc/outrider-policy"),
        (
            (("OUTRIDER_POLICY__PATH", "/etc/outrider-policy/bundle.tar.gz"),),
            "/etc/outrider-policy/bundle.tar.gz",
        ),
    ],
)
def test_policy_of_a_config_map_is_its_folder_or_the_file_that_is_named(
    environment: tuple[tuple[str, str], ...], path: str
) -> None:
    plan = a_plan(sidecar=Sidecar(policy_config_map="rego", environment=environment))
    assert _environment(plan)["OUTRIDER_POLICY__PATH"] == path


def test_only_a_plain_container_stays_for_the_agent() -> None:
    assert _environment(CLASSIC)["OUTRIDER_DRAIN__CLASSIC"] == "true"
    assert "OUTRIDER_DRAIN__CLASSIC" not in _environment(a_plan())
    given = {"OUTRIDER_DRAIN__CLASSIC": "true"}
    assert load(None, given).settings.drain.classic is True
