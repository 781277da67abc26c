"""The chart rendered in this process, thousands of times: Helm's own library, of version 4.2.3."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import helm_python
from helm_python.errors import HelmError, HelmValuesError
from hypothesis import strategies as st

from tests.support.chart import CHART, NAMESPACE, RELEASE, Object, parse
from tests.support.chart_docs import resolved, schema_document

Refused = HelmValuesError
Failed = HelmError
_FORCED: Final[Object] = {
    "certificates": {"certManager": {"force": True}},
    "monitoring": {"force": True},
    "spire": {"force": True},
}


@cache
def _chart() -> helm_python.Chart:
    return helm_python.Chart.load(str(CHART))


def values_of(sets: str) -> Object:
    """What `--set` makes of the text."""
    found: Object = helm_python.parse_set_string(sets)
    return found


def texts(values: Object, *, release: str = RELEASE) -> dict[str, str]:
    """Template -> what it renders. Raises `Refused` where the schema does, `Failed` elsewhere."""
    return _chart().render(values, name=release, namespace=NAMESPACE)


def sdk_objects(values: Object) -> list[Object]:
    """All rendered objects."""
    found = texts(values)
    return [
        one
        for name, text in sorted(found.items())
        if not name.endswith("NOTES.txt")
        for one in parse(text)
    ]


def drawn_values() -> st.SearchStrategy[Object]:
    """Values as the schema describes them, sparsely set; what contradicts itself is among them."""
    whole = schema_document()
    return _object(whole, whole).map(_forced)


def _forced(values: Object) -> Object:
    for key, inner in _FORCED.items():
        values = {**values, key: _merged(values.get(key, {}), inner)}
    return values


def _merged(below: Object, above: Object) -> Object:
    found = dict(below)
    for key, value in above.items():
        found[key] = _merged(found.get(key, {}), value) if isinstance(value, dict) else value
    return found


def _strategy(schema: Object, whole: Object) -> st.SearchStrategy[Any]:
    schema = resolved(schema, whole)
    if "allOf" in schema and "properties" not in schema:
        return _strategy(schema["allOf"][0], whole)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema.get("minimum", 0), schema.get("maximum", 1 << 40))
        case "string":
            return _string(schema)
        case "array":
            return st.lists(
                _strategy(schema["items"], whole),
                min_size=schema.get("minItems", 0),
                max_size=min(schema.get("maxItems", 3), 3),
                unique=schema.get("uniqueItems", False),
            )
        case _:
            return _object(schema, whole)


def _string(schema: Object) -> st.SearchStrategy[str]:
    pattern = schema.get("pattern")
    if pattern is None:
        return st.text("abcXYZ019 -_.:/'\"{}\\é", max_size=20)
    return st.from_regex(pattern.removesuffix("$") + r"\Z", fullmatch=True).filter(
        lambda text: "\n" not in text and len(text) <= schema.get("maxLength", 300)
    )


def _object(schema: Object, whole: Object) -> st.SearchStrategy[Object]:
    if "patternProperties" in schema:
        [(pattern, inner)] = schema["patternProperties"].items()
        keys = _string({"pattern": pattern, "maxLength": 60})
        return st.dictionaries(keys, _strategy(inner, whole), max_size=2)
    if "properties" not in schema:
        more = schema.get("additionalProperties")
        if isinstance(more, dict):
            keys = st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8})?", fullmatch=True)
            return st.dictionaries(keys, _strategy(more, whole), max_size=2)
        return st.just({})
    needed = set(schema.get("required", ()))
    inner = {key: _strategy(one, whole) for key, one in schema["properties"].items()}
    return st.fixed_dictionaries(
        {key: inner[key] for key in inner if key in needed},
        optional={key: inner[key] for key in inner if key not in needed},
    )


def fitting_values(schema: Object) -> Iterator[object]:
    """A few values that fit, for asking whether anything reads the key."""
    whole = schema_document()
    schema = resolved(schema, whole)
    if "allOf" in schema and "properties" not in schema:
        schema = resolved(schema["allOf"][0], whole)
    if "enum" in schema:
        yield from schema["enum"]
        return
    match schema.get("type"):
        case "boolean":
            yield from (False, True)
        case "integer":
            low, high = schema.get("minimum", 0), schema.get("maximum", 1 << 40)
            yield from (one for one in (low + 1, high - 1) if low <= one <= high)
        case "array":
            yield from ([one] for one in fitting_values(schema["items"]))
        case "string":
            pattern = schema.get("pattern", "")
            yield from (one for one in _SAMPLES if re.search(pattern, one))
        case _:
            yield from _fitting_objects(schema)


def _fitting_objects(schema: Object) -> Iterator[object]:
    if "properties" in schema:
        options = {
            key: next(fitting_values(one), None) for key, one in schema["properties"].items()
        }
        yield {key: value for key, value in options.items() if value is not None}
    yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "beside"}}
    yield {"a": "b"}
    yield {"OUTRIDER_AUDIT__PATH": "elsewhere"}
    yield {"release": "/etc/outrider/other.pem"}
    yield {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}


_SAMPLES: Final = (
    "other", "1.2.3", "sha256:" + "c" * 64, "77m", "13s", "/run/other", "10.1.2.3", "10.1.2.3/32",
    "https://other.example", "https://other.example/", "spiffe://other.example/x",
    "rediss://other.example:6379/0", "registry.example/other/", "OTHER", "MTIz",
)  # fmt: skip
