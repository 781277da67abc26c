"""Every setting is described, typed and safe by default; the schema says all of it."""

from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pytest

from outrider import config
from outrider.config.load import schema
from outrider.config.settings import LACKS_FOR_PRODUCTION, Profile
from outrider.core.jsonvalue import JsonObject, as_object

SECTIONS = [
    import_module(f"outrider.config.{found.name}")
    for found in iter_modules(config.__path__)
    if found.name.endswith("settings")
]
CLASSES = sorted(
    {
        found
        for section in SECTIONS
        for found in vars(section).values()
        if isinstance(found, type) and is_dataclass(found)
    },
    key=lambda found: found.__name__,
)


def each_property() -> list[tuple[str, JsonObject]]:
    document = schema()
    places = [("Settings", document), *as_object(document["$defs"]).items()]
    return [
        (f"{name}.{key}", as_object(value))
        for name, place in places
        for key, value in as_object(as_object(place).get("properties")).items()
    ]


EACH = [pytest.param(name, described, id=name) for name, described in each_property()]


@pytest.mark.parametrize(("name", "described"), EACH)
def test_every_setting_has_a_description(name: str, described: JsonObject) -> None:
    text = described.get("description")
    assert isinstance(text, str), name
    assert text.rstrip().endswith("."), name
    assert len(text) > 15, name


@pytest.mark.parametrize(("name", "described"), EACH)
def test_every_number_has_a_range(name: str, described: JsonObject) -> None:
    if described.get("type") in ("integer", "number"):
        assert {"minimum", "maximum"} <= described.keys(), name


@pytest.mark.parametrize("described", CLASSES, ids=lambda found: found.__name__)
def test_the_schema_knows_every_class_whole(described: type[Any]) -> None:
    document = schema()
    definitions = {"Settings": document, **as_object(document["$defs"])}
    place = as_object(definitions[described.__name__])
    assert set(as_object(place["properties"])) == {item.name for item in fields(described)}
    assert place["additionalProperties"] is False


def test_only_what_has_no_safe_default_is_required() -> None:
    required = {
        f"{described.__name__}.{item.name}"
        for described in CLASSES
        for item in fields(described)
        if item.default is MISSING and item.default_factory is MISSING
    }
    assert required == {
        "BundleKey.file",
        "Upstream.url",
        "FileCredential.file",
        "OidcIssuer.issuer",
        "OidcIssuer.audience",
    }


def test_settings_say_what_production_still_lacks() -> None:
    assert Profile.PRODUCTION in Profile
    assert any("leases" in text for text in LACKS_FOR_PRODUCTION)
    assert all(text and text == text.strip() for text in LACKS_FOR_PRODUCTION)


@pytest.mark.parametrize("described", CLASSES, ids=lambda found: found.__name__)
def test_settings_are_frozen(described: type[Any]) -> None:
    assert described.__dataclass_params__.frozen
    assert "__slots__" in vars(described)
