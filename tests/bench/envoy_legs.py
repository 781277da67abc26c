"""Envoy as it is, and Envoy with ext_authz over gRPC to opa-envoy-plugin: what we compare with."""

import shutil
from pathlib import Path

import orjson

from tests.bench.calls import AGENT
from tests.bench.figures import Leg
from tests.bench.machine import Program, accepts, answers, free_port
from tests.bench.policy_data import library_data
from tests.bench.target import Target

_POLICY = Path(__file__).parent / "envoy_authz" / "policy.rego"
_CLAIMED = {"x-agent": AGENT}
_TYPE = "type.googleapis.com/envoy.extensions"
# Envoy's default of 1024 would fail calls that the other legs serve.
_ROOMY = {
    "thresholds": [
        {"max_connections": 4096, "max_pending_requests": 4096, "max_requests": 4096},
    ]
}


def _cluster(name: str, port: int) -> dict[str, object]:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {
        "name": name,
        "connect_timeout": "1s",
        "circuit_breakers": _ROOMY,
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


def _ext_authz() -> dict[str, object]:
    return {
        "name": "envoy.filters.http.ext_authz",
        "typed_config": {
            "@type": f"{_TYPE}.filters.http.ext_authz.v3.ExtAuthz",
            "transport_api_version": "V3",
            "failure_mode_allow": False,
            "grpc_service": {"envoy_grpc": {"cluster_name": "authz"}, "timeout": "2s"},
            "with_request_body": {"max_request_bytes": 65536, "allow_partial_message": False},
        },
    }


def envoy_config(*, port: int, admin: int, upstream: int, authz: int | None) -> bytes:
    """Envoy's bootstrap as JSON; with `authz`, every request and its body is asked about there."""
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": f"{_TYPE}.filters.http.router.v3.Router"},
    }
    filters = [router] if authz is None else [_ext_authz(), router]
    clusters = [_cluster("upstream", upstream)]
    if authz is not None:
        http2 = {
            "@type": f"{_TYPE}.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
        options = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2}
        clusters.append({**_cluster("authz", authz), "typed_extension_protocol_options": options})
    route = {"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}
    manager = {
        "@type": f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "common_http_protocol_options": {"headers_with_underscores_action": "REJECT_REQUEST"},
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": filters,
    }
    chain = {
        "filters": [
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
        ]
    }
    listener = {
        "name": "egress",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [chain],
    }
    return orjson.dumps(
        {
            "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin}}},
            "static_resources": {"listeners": [listener], "clusters": clusters},
        },
        option=orjson.OPT_INDENT_2,
    )


def _start_envoy(
    binary: Path, *, folder: Path, upstream: int, authz: int | None
) -> tuple[Program, int]:
    port, admin = free_port(), free_port()
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "envoy.json"
    config.write_bytes(envoy_config(port=port, admin=admin, upstream=upstream, authz=authz))
    program = Program(
        "envoy",
        [
            binary,
            "-c",
            config,
            "--concurrency",
            "1",
            "--use-dynamic-base-id",
            "--log-level",
            "warning",
        ],
        folder=folder,
    )
    try:
        program.wait_ready(lambda: answers(f"http://127.0.0.1:{admin}/ready"), limit_s=30)
    except BaseException:
        program.stop()
        raise
    return program, port


def start_envoy(binary: Path, *, folder: Path, upstream: int) -> Target:
    """Envoy alone, one worker."""
    program, port = _start_envoy(binary, folder=folder, upstream=upstream, authz=None)
    return Target(
        leg=Leg.ENVOY,
        port=port,
        proxy=program,
        checked="nothing: framing and path normalisation only",
    )


def _write_policy(folder: Path) -> None:
    """Write the reference's Rego and data, the same agent, grant and tools as the governed legs."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data.json").write_bytes(orjson.dumps(library_data()))
    place = folder / "envoy" / "authz"
    place.mkdir(parents=True, exist_ok=True)
    shutil.copy(_POLICY, place / "policy.rego")


def start_envoy_opa(binary: Path, plugin: Path, *, folder: Path, upstream: int) -> Target:
    """Envoy asking opa-envoy-plugin, both with their defaults, about every request and its body."""
    bundle = folder / "bundle"
    _write_policy(bundle)
    grpc, api, diagnostic = free_port(), free_port(), free_port()
    settings = {"addr": f"127.0.0.1:{grpc}", "path": "envoy/authz/decision"}
    config = folder / "opa.json"
    config.write_bytes(orjson.dumps({"plugins": {"envoy_ext_authz_grpc": settings}}))
    engine = Program(
        "opa-envoy-plugin",
        [
            plugin,
            "run",
            "--server",
            "--addr",
            f"127.0.0.1:{api}",
            "--diagnostic-addr",
            f"127.0.0.1:{diagnostic}",
            "--config-file",
            config,
            "--skip-version-check",
            "--disable-telemetry",
            "--log-level",
            "error",
            "--bundle",
            bundle,
        ],
        folder=folder,
    )
    try:
        health = f"http://127.0.0.1:{diagnostic}/health?plugins"
        engine.wait_ready(lambda: answers(health) and accepts(grpc), limit_s=30)
        program, port = _start_envoy(binary, folder=folder, upstream=upstream, authz=grpc)
    except BaseException:
        engine.stop()
        raise
    return Target(
        leg=Leg.ENVOY_OPA,
        port=port,
        proxy=program,
        engine=engine,
        headers=_CLAIMED,
        governed=True,
        checked="a claimed name, method, path, grant, arguments; no verified identity, no task, no"
        " behaviour, no provenance, no audit",
    )
