"""The published forms of a grant and its reader know the same keys."""

import re
from typing import Any

import orjson
import pytest

from outrider.config.paths import shipped_rego
from outrider.core.errors import ConfigError
from outrider.core.grant import parse_grant

PLACES = {
    "agents": ("additionalProperties", "properties", "grant"),
    "templates": ("additionalProperties", "properties", "grant"),
    "input": ("properties", "context", "properties", "task", "properties", "grant"),
}


def form(name: str) -> dict[str, Any]:
    found = orjson.loads((shipped_rego() / "schemas" / f"{name}.json").read_bytes())
    for step in PLACES[name]:
        found = found[step]
    return dict(found)


def told(document: Any) -> set[str]:
    with pytest.raises(ConfigError) as refused:
        parse_grant(document, "g")
    found = re.search(r"give one of (.+)$", str(refused.value))
    assert found is not None, refused.value
    return set(found[1].split(", "))


@pytest.mark.parametrize("name", list(PLACES))
def test_the_schema_and_the_reader_know_the_same_keys(name: str) -> None:
    assert told({"no_such_key": 1}) == set(form(name)["properties"])
    assert form(name)["additionalProperties"] is False


@pytest.mark.parametrize("name", list(PLACES))
def test_the_schema_and_the_reader_know_the_same_words(name: str) -> None:
    shape = form(name)["properties"]
    assert told({"effects": ["no_such_word"]}) == set(shape["effects"]["items"]["enum"])
    assert told({"sensitivity": "no_such_word"}) == set(shape["sensitivity"]["enum"])


def test_all_published_forms_of_a_grant_are_one() -> None:
    assert len({orjson.dumps(form(name)["properties"]) for name in PLACES}) == 1
