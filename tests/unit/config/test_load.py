"""Settings are read whole, or refused with every fault: key, value and what may stand there."""

import re
from pathlib import Path
from typing import Literal

import orjson
import pytest

from outrider.config.load import (
    cache_dir,
    default_path,
    dump,
    filled,
    load,
    parse_yaml,
    schema,
    validate,
)
from outrider.config.settings import Audit, Profile, Settings
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json, JsonObject, as_object

SPIFFE_ID = "spiffe://acme.test/ns/support/sa/triage"


def a_file(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "outrider.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def faults(document: JsonObject) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        validate(document)
    return str(caught.value).splitlines()


# --- faults ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "key", "value", "allowed"),
    [
        pytest.param(
            {"policy": {"timeout_ms": 0}}, "policy.timeout_ms", "0", "1 to 10000", id="too-low"
        ),
        pytest.param(
            {"policy": {"timeout_ms": 10_001}},
            "policy.timeout_ms",
            "10001",
            "1 to 10000",
            id="too-high",
        ),
        pytest.param(
            {"limits": {"body_bytes": 1023}}, "limits.body_bytes", "1023", "1024", id="bytes"
        ),
        pytest.param(
            {"policy": {"engine": "cedar"}}, "policy.engine", "'cedar'", "'opa'", id="closed-set"
        ),
        pytest.param({"profile": "prod"}, "profile", "'prod'", "'production'", id="enum"),
        pytest.param(
            {"limits": {"in_flight": "many"}}, "limits.in_flight", "'many'", "integer", id="type"
        ),
        pytest.param(
            {"upstreams": {"crm": {"prefix": "/crm"}}}, "upstreams.crm.url", "", "missing", id="url"
        ),
        pytest.param(
            {"policy": {"entrypoint": "outrider.decision"}},
            "policy.entrypoint",
            "'outrider.decision'",
            "data",
            id="pattern",
        ),
        pytest.param({"polcy": {}}, "polcy", "", "no such setting", id="misspelt"),
        pytest.param(
            {"policy": {"opa": {"sokcet": "x"}}},
            "policy.opa.sokcet",
            "",
            "no such setting",
            id="misspelt-below",
        ),
        pytest.param(
            {"upstreams": {"CRM": {"url": "http://127.0.0.1:1"}}},
            "upstreams.CRM",
            "'CRM'",
            "text like",
            id="name",
        ),
        pytest.param({"limits": None}, "limits", "not set", "give a mapping", id="nothing"),
        pytest.param(
            {"agent_credentials": "x-key"}, "agent_credentials", "'x-key'", "a list", id="no-list"
        ),
        pytest.param({"data_dir": 7}, "data_dir", "7", "give text", id="no-text"),
        pytest.param({"limits": [1]}, "limits", "[1]", "", id="list-for-mapping"),
    ],
)
def test_a_fault_names_key_value_and_what_is_allowed(
    document: JsonObject, key: str, value: str, allowed: str
) -> None:
    (line,) = faults(document)
    assert line.startswith(key)
    assert value in line
    assert allowed in line


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"policy": {"timeout_ms": 1}}, id="lowest"),
        pytest.param({"policy": {"timeout_ms": 10_000}}, id="highest"),
        pytest.param({"limits": {"body_bytes": 1024}}, id="bytes"),
        pytest.param({"drain": {"grace_s": 0}}, id="zero-where-zero-may-stand"),
        pytest.param({}, id="nothing"),
    ],
)
def test_what_lies_just_within_is_taken(document: JsonObject) -> None:
    validate(document)


def test_every_fault_is_named_at_once() -> None:
    lines = faults(
        {"policy": {"timeout_ms": 0}, "limits": {"in_flight": 0}, "nonsense": 1, "profile": "x"}
    )
    assert len(lines) == 4
    assert [line.split(" ")[0].rstrip(":") for line in lines] == [
        "limits.in_flight",
        "nonsense",
        "policy.timeout_ms",
        "profile",
    ]


def test_a_long_value_is_cut_in_its_fault() -> None:
    (line,) = faults({"policy": {"engine": "x" * 10_000}})
    assert len(line) < 300


def test_truth_is_no_number() -> None:
    lines = faults({"upstreams": {"a": {"url": "http://127.0.0.1:1", "connections": [True]}}})
    assert lines[0].startswith("upstreams.a.connections")


# --- the file -------------------------------------------------------------------------------


def test_reads_a_file_and_fills_in_defaults(tmp_path: Path) -> None:
    path = a_file(tmp_path, "profile: demo\nlimits:\n  in_flight: 7\n")

    loaded = load(path, {})

    assert loaded.settings.profile is Profile.DEMO
    assert loaded.settings.limits.in_flight == 7
    assert loaded.settings.limits.wait_queue == 64
    assert loaded.source == path


def test_without_a_file_defaults_alone_stand() -> None:
    loaded = load(None, {})
    assert loaded.source is None
    assert loaded.settings.profile is Profile.DEVELOPMENT


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    assert load(a_file(tmp_path, "# nothing\n"), {}).settings == load(None, {}).settings


def test_relative_paths_start_at_the_settings_file(tmp_path: Path) -> None:
    loaded = load(a_file(tmp_path, "data_dir: state\n"), {})
    assert loaded.path("x/y") == tmp_path / "x" / "y"
    assert loaded.path("/abs") == Path("/abs")
    assert loaded.data("audit") == tmp_path / "state" / "audit"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("limits: {}\nlimits: {}\n", "line 2: 'limits' stands twice", id="twice"),
        pytest.param(
            "limits:\n  in_flight: 1\n  in_flight: 9\n", "line 3: 'in_flight'", id="twice-below"
        ),
        pytest.param("a: [1\n", "not YAML", id="unclosed"),
        pytest.param("a: !!python/object:os.system x\n", "not YAML", id="python-tag"),
        pytest.param("a: &x [*x]\n", "", id="self-reference"),
        pytest.param("- a\n- b\n", "give a mapping", id="a-list"),
        pytest.param("just text\n", "give a mapping", id="a-text"),
        pytest.param(b"\xff\xfe\x00", "not UTF-8", id="not-text"),
        pytest.param("a: b\n---\nc: d\n", "not YAML", id="two-documents"),
        pytest.param("? [1, 2]\n: x\n", "", id="a-list-for-a-key"),
        pytest.param("[" * 5000, "not YAML", id="deep"),
    ],
)
def test_refuses_a_file_it_cannot_read_whole(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(a_file(tmp_path, text), {})
    assert said in str(caught.value)


def test_names_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(tmp_path / "none.yaml", {})


def test_a_merge_key_brings_no_second_value() -> None:
    with pytest.raises(ConfigError):
        validate_yaml("a: &a {in_flight: 1}\nlimits: {<<: *a, in_flight: 2}\n")


def validate_yaml(text: str) -> None:
    value = parse_yaml(text)
    assert isinstance(value, dict)
    validate(value)


# --- the environment ------------------------------------------------------------------------


def test_the_environment_lies_over_the_file(tmp_path: Path) -> None:
    path = a_file(tmp_path, "limits: {in_flight: 7, wait_queue: 3}\n")

    loaded = load(path, {"OUTRIDER_LIMITS__IN_FLIGHT": "9", "PATH": "/bin"})

    assert loaded.settings.limits.in_flight == 9
    assert loaded.settings.limits.wait_queue == 3


@pytest.mark.parametrize(
    ("name", "value", "key"),
    [
        pytest.param("OUTRIDER_LIMITS__IN_FLIGHT", "0", "limits.in_flight", id="range"),
        pytest.param("OUTRIDER_LIMIT__IN_FLIGHT", "1", "limit", id="misspelt"),
        pytest.param("OUTRIDER_PROFILE__X", "1", "profile", id="below-a-value"),
        pytest.param("OUTRIDER_POLICY__ENGINE", "[", "YAML", id="not-yaml"),
    ],
)
def test_a_fault_in_the_environment_is_a_fault(name: str, value: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, {name: value})
    assert key in str(caught.value)


def test_a_value_below_one_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    path = a_file(tmp_path, "policy: text\n")
    with pytest.raises(ConfigError, match="OUTRIDER_POLICY__ENGINE: policy is not a mapping"):
        load(path, {"OUTRIDER_POLICY__ENGINE": "opa"})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("true", True, id="truth"),
        pytest.param("false", False, id="untruth"),
    ],
)
def test_values_of_the_environment_are_yaml(value: str, expected: bool) -> None:
    assert load(None, {"OUTRIDER_POLICY__WATCH": value}).settings.policy.watch is expected


def test_variables_of_our_own_are_no_settings() -> None:
    environ = {
        "OUTRIDER_CONFIG": "/x.yaml",
        "OUTRIDER_CACHE": "/c",
        "OUTRIDER_POD_UID": "7f3c",
        "OUTRIDER_TEST_OPA": "/opa",
    }

    loaded = load(None, environ)

    assert loaded.pod_uid == "7f3c"
    assert default_path(environ) == Path("/x.yaml")
    assert default_path({}) is None
    assert cache_dir(environ) == Path("/c")
    assert cache_dir({"XDG_CACHE_HOME": "/home/.c"}) == Path("/home/.c/outrider")


@pytest.mark.parametrize(
    ("profile", "named", "kept"),
    [
        pytest.param("demo", None, "store", id="demo"),
        pytest.param("development", None, "store", id="development"),
        pytest.param("production", None, "digest", id="production"),
        pytest.param("development", "digest", "digest", id="development-that-says-so"),
        pytest.param("production", "store", "store", id="production-that-says-so"),
    ],
)
def test_queries_are_kept_by_default_but_in_production(
    profile: str, named: Literal["store", "digest"] | None, kept: str
) -> None:
    settings = Settings(profile=Profile(profile), audit=Audit(inputs=named))
    assert filled(settings).audit.inputs == kept


def test_what_the_profile_decides_stands_among_the_settings() -> None:
    assert as_object(dump(validate({}))["audit"])["inputs"] == "store"
    audit = as_object(dump(validate({"audit": {"inputs": "digest"}}))["audit"])
    assert audit["inputs"] == "digest"


# --- giving back ----------------------------------------------------------------------------


def test_what_is_dumped_can_be_read_again() -> None:
    document: dict[str, Json] = {
        "identity": {"spiffe_id": SPIFFE_ID},
        "upstreams": {"crm": {"url": "http://127.0.0.1:9", "prefix": "/crm"}},
    }
    settings = validate(document)
    assert validate(dump(settings)) == settings
    assert orjson.loads(orjson.dumps(dump(settings))) == dump(settings)


def test_the_schema_names_its_dialect_and_every_part() -> None:
    found = schema()
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    properties = found["properties"]
    assert isinstance(properties, dict)
    assert {"profile", "upstreams", "limits", "policy"} <= properties.keys()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("limits: 2020-99-99", id="no-such-month"),
        pytest.param("limits: " + "9" * 6000, id="a-number-of-6000-digits"),
        pytest.param("limits: " + "[" * 3000, id="3000-brackets"),
        pytest.param("limits: " + "{a: " * 40 + "}" * 40, id="40-braces"),
        pytest.param("- " * 3000 + "a", id="3000-dashes"),
    ],
)
def test_what_no_reader_can_take_is_a_fault_like_any_other(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_yaml(text)


def test_a_file_larger_than_settings_ever_are_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "outrider.yaml"
    path.write_text("# " + "x" * (1 << 20))
    with pytest.raises(ConfigError, match="larger than"):
        load(path, {})


LINKS = {
    "OUTRIDER_SERVICE_HOST": "10.0.0.1",
    "OUTRIDER_SERVICE_PORT": "443",
    "OUTRIDER_SERVICE_PORT_HTTPS": "443",
    "OUTRIDER_PORT": "tcp://10.0.0.1:443",
    "OUTRIDER_INJECTOR_PORT_443_TCP": "tcp://10.0.0.1:443",
    "OUTRIDER_INJECTOR_PORT_443_TCP_ADDR": "10.0.0.1",
    "OUTRIDER_POLICY__PATH_SERVICE_HOST": "10.0.0.1",
}
"""What Kubernetes tells a pod of Services `outrider`, `outrider-injector`, `outrider-policy--path`.
"""


@pytest.mark.parametrize("name", list(LINKS))
def test_what_kubernetes_says_of_services_is_no_setting(name: str) -> None:
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", name: LINKS[name]}
    assert load(None, pod).settings == load(None, {}).settings


@pytest.mark.parametrize("name", list(LINKS))
def test_outside_a_pod_the_same_names_are_faults(name: str) -> None:
    with pytest.raises(ConfigError, match=r"no such setting|not a mapping"):
        load(None, {name: LINKS[name]})


def test_in_a_pod_settings_are_settings_still() -> None:
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "OUTRIDER_ENVIRONMENT": "prod"}
    assert load(None, pod).settings.environment == "prod"
    with pytest.raises(ConfigError, match="no such setting"):
        load(None, pod | {"OUTRIDER_POLICY__SERVICE": "x"})


def test_no_setting_is_named_as_a_service_link() -> None:
    names = re.findall(r'"([a-z0-9_]+)":', orjson.dumps(schema()).decode())
    assert [
        name for name in names if re.search(r"(^|_)(service_host|service_port|port)$", name)
    ] == []
