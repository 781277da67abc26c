"""Text that no path, host or file can be made of is a fault of its setting, not of its reader."""

import pytest

from outrider.config.load import parse_yaml, validate
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json, JsonObject
from outrider.policy.changes import put


def faults(pointer: str, value: Json) -> list[str]:
    document: JsonObject = {
        "identity": {
            "spiffe_id": "spiffe://acme.test/agent",
            "files": {},
            "oidc": {"login": {"issuer": "https://login.test", "audience": "outrider"}},
        },
        "listeners": {},
        "policy": {"opa": {}},
        "upstreams": {"crm": {"url": "http://127.0.0.1:9000", "prefix": "/crm"}},
        "credentials": {"key": {"file": "key"}},
        **{name: {} for name in ("audit", "stores", "control")},
    }
    put(document, pointer, value)
    try:
        validate(document)
    except ConfigError as fault:
        return str(fault).splitlines()
    return []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a\0b", id="nul"),
        pytest.param("a\nb", id="line-end"),
        pytest.param("a\x85b", id="next-line"),
        pytest.param("a\ud800", id="half-a-character"),
        pytest.param("a" * 4097, id="endless"),
    ],
)
def test_text_that_cannot_be_shown_is_a_fault_wherever_it_stands(text: str) -> None:
    for pointer, key in (("/policy/path", "policy.path"), ("/identity/audience", "identity.a")):
        (line,) = faults(pointer, text)
        assert line.startswith(key)
        assert line.endswith("; give printable text of at most 4096 characters")
    (line,) = faults("/policy/overlay", ["good", text])
    assert line.startswith("policy.overlay is ")
    (line,) = faults("/identity/trust_bundles", {text: "path"})
    assert line.startswith("identity.trust_bundles is ")
    assert not line.count("\0")


PATHS = [
    "data_dir",
    "identity.files.directory",
    "identity.files.certificate",
    "identity.files.key",
    "identity.files.bundle",
    "identity.oidc.login.ca_file",
    "policy.path",
    "policy.opa.binary",
    "policy.opa.socket",
    "audit.path",
    "stores.path",
    "stores.redis.ca_file",
    "stores.redis.password_file",
    "control.token_file",
    "credentials.key.file",
]


@pytest.mark.parametrize("key", PATHS)
@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        pytest.param("", "leave it out", id="empty"),
        pytest.param("~nobody-of-that-name/x", "a user there is", id="home-of-nobody"),
        pytest.param("a/" + "b" * 256, "at most 255 bytes", id="part-too-long"),
        pytest.param("a/" + "\u00e9" * 128, "at most 255 bytes", id="part-of-too-many-bytes"),
    ],
)
def test_a_path_that_leads_nowhere_is_a_fault(key: str, text: str, remedy: str) -> None:
    line = faults("/" + key.replace(".", "/"), text)[0]
    assert line.startswith(f"{key} is ")
    assert remedy in line


@pytest.mark.parametrize("key", PATHS)
def test_a_path_in_a_home_or_with_other_letters_is_one(key: str) -> None:
    for text in ("~/x", "/r\u00e9sum\u00e9/x", "b" * 100):
        assert faults("/" + key.replace(".", "/"), text) == []


@pytest.mark.parametrize("name", ["egress", "ingress", "control", "telemetry"])
def test_a_socket_longer_than_the_kernel_takes_is_a_fault(name: str) -> None:
    assert faults(f"/listeners/{name}", {"unix": "a/" * 53 + "b"}) == []
    (line,) = faults(f"/listeners/{name}", {"unix": "a/" * 53 + "bc"})
    assert "at most 107 bytes" in line


def test_what_stands_in_itself_or_many_times_is_looked_at_once() -> None:
    with pytest.raises(ConfigError):
        validate(parse_yaml("upstreams: &a {crm: *a}"))  # type: ignore[arg-type]
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]\n" for n in range(64))
    with pytest.raises(ConfigError, match="no such setting"):
        validate(parse_yaml(bomb))  # type: ignore[arg-type]


def test_a_uid_is_one_the_kernel_has() -> None:
    assert faults("/listeners/egress", {"unix": "e.sock", "uids": [0, 4294967294]}) == []
    for uid in (-1, 1 << 32, 10**30):
        (line,) = faults("/listeners/egress", {"unix": "e.sock", "uids": [uid]})
        assert line.startswith("listeners.egress.uids")
