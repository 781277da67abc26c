"""A file of CAs that cannot be used is a fault of the settings, not of the first call."""

import os
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives import serialization

from outrider.config.authorities import CA_BYTES
from outrider.config.load import load
from outrider.core.errors import ConfigError
from tests.support.tls import an_authority

PEM = an_authority().pem
BROKEN = PEM.replace(b"\nM", b"\n*", 1)


def loaded(room: Path, ca_file: str, url: str = "https://desk.acme.test/desk") -> None:
    file = room / "outrider.yaml"
    upstream = {"url": url, "prefix": "/desk", "ca_file": ca_file}
    document = {
        "identity": {"spiffe_id": "spiffe://acme.test/ns/support/sa/triage"},
        "upstreams": {"desk": upstream},
    }
    file.write_text(yaml.safe_dump(document), "utf-8")
    load(file, {})


def fault_of(room: Path, ca_file: str, **url: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(room, ca_file, **url)
    (line,) = str(caught.value).splitlines()
    return line


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(None, "is no file", id="missing"),
        pytest.param(b"", "empty, not PEM, or broken", id="empty"),
        pytest.param(b"not PEM\n", "empty, not PEM, or broken", id="text"),
        pytest.param(
            an_authority().certificate.public_bytes(serialization.Encoding.DER),
            "empty, not PEM, or broken",
            id="der",
        ),
        pytest.param(BROKEN, "empty, not PEM, or broken", id="broken"),
        pytest.param(PEM + BROKEN, "empty, not PEM, or broken", id="one-of-two-broken"),
        pytest.param(PEM[:-40], "empty, not PEM, or broken", id="cut-short"),
        pytest.param(
            an_authority().key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
            "empty, not PEM, or broken",
            id="only-a-key",
        ),
        pytest.param(PEM + b"#" * CA_BYTES, f"at most {CA_BYTES} bytes", id="too-large"),
    ],
)
def test_a_file_without_whole_certificates_is_refused_by_key_and_value(tmp_path, content, why):
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    line = fault_of(tmp_path, "ca.pem")
    assert line.startswith("upstreams.desk.ca_file is 'ca.pem'; give a PEM file of CA certificates")
    assert why in line


def test_an_issuer_without_a_file_of_cas_is_refused_by_key_and_value(tmp_path):
    issuer = {"issuer": "https://login.test", "audience": "outrider", "ca_file": "ca.pem"}
    file = tmp_path / "outrider.yaml"
    file.write_text(yaml.safe_dump({"identity": {"oidc": {"login": issuer}}}), "utf-8")
    with pytest.raises(ConfigError, match=r"identity\.oidc\.login\.ca_file is 'ca\.pem'.*no file"):
        load(file, {})
    (tmp_path / "ca.pem").write_bytes(PEM)
    load(file, {})


def test_revocations_alone_are_no_certificates(tmp_path):
    (tmp_path / "ca.pem").write_bytes(an_authority().revocations())
    assert "holds none" in fault_of(tmp_path, "ca.pem")


@pytest.mark.parametrize("name", [".", "", "a\x00b"], ids=["folder", "nothing", "nul"])
def test_what_is_no_path_of_a_file_is_refused(tmp_path, name):
    assert "upstreams.desk.ca_file" in fault_of(tmp_path, name)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "ca.pem")
    assert "is no file" in fault_of(tmp_path, "ca.pem")


def test_cas_for_an_upstream_without_tls_are_refused(tmp_path):
    (tmp_path / "ca.pem").write_bytes(PEM)
    line = fault_of(tmp_path, "ca.pem", url="http://127.0.0.1:8080/desk")
    assert line.endswith("or leave it out: this upstream's url is not https")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(PEM, id="one"),
        pytest.param(PEM + an_authority().pem, id="two"),
        pytest.param("# Főtanúsítvány\n".encode() + PEM, id="with-a-comment"),
        pytest.param(PEM.replace(b"\n", b"\r\n"), id="crlf"),
    ],
)
@pytest.mark.parametrize("absolute", [True, False], ids=["absolute", "relative"])
def test_certificates_are_found_from_the_settings_file(tmp_path, monkeypatch, content, absolute):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "ca.pem").write_bytes(content)
    loaded(tmp_path, str(tmp_path / "ca.pem") if absolute else "ca.pem")
    loaded(tmp_path, "ca.pem", url="HTTPS://desk.acme.test/desk")
