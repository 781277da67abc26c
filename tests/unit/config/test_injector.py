"""The injector's settings are read whole, or refused with every fault, under the chart's keys."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from outrider.config.injector import (
    dump_injector,
    injector_schema,
    is_pinned,
    load_injector,
    validate_injector,
)
from outrider.core.errors import ConfigError

IMAGE = "registry.acme.test/outrider@sha256:" + "a" * 64


def faults(**document: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        validate_injector({"image": IMAGE, **document})
    return str(caught.value).splitlines()


def test_an_image_is_all_it_needs(tmp_path: Path) -> None:
    file = tmp_path / "injector.yaml"
    file.write_text(f"image: {IMAGE}\n")
    settings = load_injector(file)
    assert (settings.image, settings.capture.mode) == (IMAGE, "transparent")


def test_the_defaults_weaken_nothing() -> None:
    settings = validate_injector({"image": IMAGE})
    assert settings.opt_out.namespaces == ()
    assert settings.guarded_annotations.namespaces == ()
    assert settings.agent_secrets.exceptions == ()
    assert settings.classic_sidecar.namespaces == ()
    assert settings.trusted_containers == ()
    assert settings.inline_csi_drivers == ()
    assert settings.harden_app_containers == "patch"
    assert settings.capture.skip_outbound_ports == ()
    assert settings.capture.skip_subnets == ()
    assert not settings.net_init.run_as_root


def test_no_image_is_a_fault() -> None:
    with pytest.raises(ConfigError, match=r"^image: missing; it has no default$"):
        validate_injector({})


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        pytest.param({"opt_out": {}}, "opt_out: no such setting", id="not-the-files-spelling"),
        pytest.param(
            {"optOut": {"namespace": []}}, "optOut.namespace: no such setting", id="misspelt-below"
        ),
        pytest.param(
            {"optOut": {"namespaces": ["Desk"]}}, "optOut.namespaces.0 is 'Desk'", id="no-namespace"
        ),
        pytest.param(
            {"optOut": {"namespaces": ["*"]}}, "optOut.namespaces.0 is '*'", id="no-wildcards"
        ),
        pytest.param({"capture": {"mode": "off"}}, "capture.mode is 'off'", id="closed-set"),
        pytest.param(
            {"capture": {"dnsServers": ["dns.acme.test"]}},
            "capture.dnsServers is 'dns.acme.test'; give an IP address",
            id="a-name-for-a-server",
        ),
        pytest.param(
            {"capture": {"dnsServers": ["fe80::1%eth0"]}},
            "capture.dnsServers is 'fe80::1%eth0'",
            id="a-zone",
        ),
        pytest.param(
            {"capture": {"skipSubnets": ["10.0.0.1/8"]}},
            "capture.skipSubnets is '10.0.0.1/8'; give a CIDR",
            id="host-bits",
        ),
        pytest.param(
            {"sidecar": {"environment": {"PATH": "/evil"}}},
            "sidecar.environment.PATH",
            id="not-a-setting-of-ours",
        ),
        pytest.param(
            {"webhook": {"bodyBytes": 1}},
            "webhook.bodyBytes is 1; give 65536 or more (the range is 65536 to 67108864)",
            id="out-of-range",
        ),
        pytest.param(
            {"webhook": {"addresses": ["webhook:10250"]}},
            "webhook.addresses is 'webhook:10250'; give host:port",
            id="a-host-name",
        ),
        pytest.param(
            {"webhook": {"addresses": []}}, "webhook.addresses is empty", id="listens-nowhere"
        ),
        pytest.param(
            {"certificates": {"lookS": 20, "leaseS": 30}},
            "certificates.leaseS is 30; give at least twice certificates.lookS",
            id="a-lease-too-short",
        ),
        pytest.param(
            {"certificates": {"api": {"url": "http://10.0.0.1"}}},
            "certificates.api.url is 'http://10.0.0.1'; give https://host:port",
            id="plain-http",
        ),
        pytest.param(
            {"certificates": {"api": {"url": "https://user@api"}}},
            "certificates.api.url is 'https://…@api'",
            id="userinfo-is-not-shown",
        ),
    ],
)
def test_a_fault_names_the_key_and_what_may_stand_there(
    document: dict[str, Any], fault: str
) -> None:
    (line,) = faults(**document)
    assert line.startswith(fault)


def test_every_fault_is_told_at_once() -> None:
    assert len(faults(capture={"mode": "off"}, revision="A", hardenAppContainers="no")) == 3


def test_what_is_shown_is_read_again_as_the_same() -> None:
    settings = validate_injector(
        {
            "image": IMAGE,
            "trustedContainers": [
                {"name": "istio-proxy", "imagePrefix": "registry.acme.test/istio/"}
            ],
            "sidecar": {"environment": {"OUTRIDER_PROFILE": "production"}},
        }
    )
    assert validate_injector(dump_injector(settings)) == settings


def test_every_key_is_described() -> None:
    bare: list[str] = []
    schema: Any = orjson.loads(orjson.dumps(injector_schema()))
    for name, one in {"": schema, **schema["$defs"]}.items():
        for key, setting in one["properties"].items():
            if not setting.get("description"):
                bare.append(f"{name}.{key}")
    assert bare == []


@pytest.mark.parametrize(
    ("image", "pinned"),
    [
        pytest.param(IMAGE, True, id="digest"),
        pytest.param("registry.acme.test/outrider:1.0", False, id="tag"),
        pytest.param("registry.acme.test/outrider@sha256:" + "a" * 63, False, id="short"),
    ],
)
def test_an_image_is_pinned_by_its_digest(image: str, pinned: bool) -> None:
    assert is_pinned(image) is pinned
