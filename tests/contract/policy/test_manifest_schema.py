"""The published form of the manifest and its reader know the same keys and the same words."""

import re
from typing import Any

import orjson
import pytest

from outrider.config.paths import shipped_rego
from outrider.core.errors import ConfigError
from outrider.core.manifest import parse_manifest

SCHEMA = orjson.loads((shipped_rego() / "schemas" / "manifest.json").read_bytes())
GIVE = re.compile(r"give one of (.+)$")
UPSTREAM: tuple[str, ...] = ("crm",)
TOOL = (*UPSTREAM, "tools", "send")
OPERATION = (*UPSTREAM, "operations", "POST /send")


def form(path: tuple[str, ...]) -> dict[str, Any]:
    """The part of the schema that holds at `path`; `0` is an item of a list."""
    found = SCHEMA
    for step in path:
        if step == "0":
            found = found["items"]
        else:
            found = found.get("properties", {}).get(step) or found["additionalProperties"]
    return dict(found)


def document(path: tuple[str, ...], value: Any) -> Any:
    for step in reversed(path):
        value = [value] if step == "0" else {step: value}
    return value


def told(path: tuple[str, ...], value: Any) -> set[str]:
    """What the reader names as allowed, where it refuses `value` at `path`."""
    with pytest.raises(ConfigError) as caught:
        parse_manifest(document(path, value))
    found = GIVE.search(str(caught.value))
    assert found is not None, caught.value
    return set(found[1].split(", "))


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(UPSTREAM, id="upstream"),
        pytest.param((*UPSTREAM, "destination"), id="destination"),
        pytest.param((*UPSTREAM, "default"), id="default"),
        *[
            pytest.param((*entry, *below), id="-".join((name, *below)))
            for name, entry in (("tool", TOOL), ("operation", OPERATION))
            for below in (
                (),
                ("arguments", "to"),
                ("result", "0"),
                ("unwrap",),
                ("offers",),
            )
        ],
    ],
)
def test_the_schema_and_the_reader_know_the_same_keys(path: tuple[str, ...]) -> None:
    assert told(path, {"no_such_key": 1}) == set(form(path)["properties"])
    assert form(path)["additionalProperties"] is False


@pytest.mark.parametrize("entry", [TOOL, OPERATION], ids=["tool", "operation"])
def test_the_schema_and_the_reader_know_the_same_conditions(entry: tuple[str, ...]) -> None:
    line = {"path": "$.note", "when": {"no_such_key": 1}}
    when = form((*entry, "result", "0", "when"))
    assert told((*entry, "result", "0"), line) == set(when["properties"])


@pytest.mark.parametrize("entry", [TOOL, OPERATION], ids=["tool", "operation"])
@pytest.mark.parametrize(
    ("below", "beside"),
    [
        pytest.param(("effect",), {}, id="effect"),
        pytest.param(("impact",), {}, id="impact"),
        pytest.param(("sensitivity",), {}, id="sensitivity"),
        pytest.param(("tags", "0"), {}, id="tags"),
        pytest.param(("arguments", "to", "role"), {}, id="role"),
        pytest.param(("arguments", "to", "type"), {"role": "content"}, id="type"),
        pytest.param(("result", "0", "label"), {"path": "$.x"}, id="label"),
        pytest.param(("result", "0", "match"), {"path": "$.x"}, id="match"),
    ],
)
def test_the_schema_and_the_reader_know_the_same_words(
    entry: tuple[str, ...], below: tuple[str, ...], beside: dict[str, str]
) -> None:
    words = set(form((*entry, *below))["enum"])
    if below[-1] == "0":
        assert told((*entry, *below), "no_such_word") == words
    else:
        value = {**beside, below[-1]: "no_such_word"}
        assert told((*entry, *below[:-1]), value) == words


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("opaque", True, id="opaque"),
        pytest.param("array_fields", ["tag"], id="array-fields"),
        pytest.param("operation_id", "send", id="operation-id"),
    ],
)
def test_what_is_said_of_an_operation_is_no_key_of_a_tool(key: str, value: Any) -> None:
    parse_manifest(document(OPERATION, {"effect": "send", key: value}))
    assert key not in told(TOOL, {key: value})


@pytest.mark.parametrize(
    ("name", "good"),
    [
        pytest.param("a" * 64, True, id="longest"),
        pytest.param("a" * 65, False, id="too-long"),
        pytest.param("Crm", False, id="upper-case"),
    ],
)
def test_the_schema_and_the_reader_take_the_same_names(name: str, *, good: bool) -> None:
    assert bool(re.search(SCHEMA["propertyNames"]["pattern"], name)) is good
    if good:
        parse_manifest({name: {}})
    else:
        with pytest.raises(ConfigError, match="no name of an upstream"):
            parse_manifest({name: {}})
