"""Values, schema, README and copies say the same: `make chart` writes what differs."""

import pytest

from tests.support import chart_docs
from tests.support.chart import CHART, Object


def test_readme_and_schema_are_what_the_comments_say() -> None:
    assert chart_docs.readme(chart_docs.README.read_text("utf-8")) == (
        chart_docs.README.read_text("utf-8")
    ), "run `make chart`"
    assert chart_docs.schema(chart_docs.SCHEMA.read_bytes()) == chart_docs.SCHEMA.read_bytes()


def test_every_value_has_its_comment_and_its_place_in_the_schema() -> None:
    assert chart_docs.uncommented() == []
    whole = chart_docs.schema_document()
    for one in chart_docs.commented():
        place: Object = whole
        for key in one.path:
            assert key in place["properties"], one.dotted
            place = place["properties"][key]
        assert place["description"] == one.text
        assert one.text[-1] == ".", one.dotted


def test_the_schema_knows_no_value_that_is_not_there() -> None:
    def paths(found: Object, above: tuple[str, ...]) -> set[tuple[str, ...]]:
        below = found.get("properties", {})
        return set().union(
            *({(*above, key)} | paths(it, (*above, key)) for key, it in below.items())
        )

    known = {one.path for one in chart_docs.commented()}
    spare = paths(chart_docs.schema_document(), ()) - known
    # what Kubernetes defines, and a limit that nobody should set without thinking
    assert {".".join(path) for path in spare} == {
        "injector.affinity.nodeAffinity",
        "injector.affinity.podAffinity",
        "injector.affinity.podAntiAffinity",
        "injector.resources.limits.cpu",
    }


def test_no_object_of_the_schema_takes_an_unknown_key() -> None:
    def open_ones(found: object, at: str) -> list[str]:
        if isinstance(found, list):
            return [name for one in found for name in open_ones(one, at)]
        if not isinstance(found, dict):
            return []
        here = found.get("type") == "object" and "additionalProperties" not in found
        below = (open_ones(it, f"{at}/{key}") for key, it in found.items())
        return ([at] if here else []) + [name for names in below for name in names]

    free = open_ones(chart_docs.schema_document(), "")
    assert free == [
        "/properties/global",
        *(f"/properties/injector/properties/affinity/properties/{one}" for one in (
            "nodeAffinity", "podAffinity", "podAntiAffinity")),
        "/properties/extraObjects/items",
    ]  # fmt: skip


def test_copies_are_those_of_deploy() -> None:
    assert chart_docs.stale_copies() == [], "run `make chart`"


def test_a_comment_is_read_with_its_key(tmp_path: object) -> None:
    found = {one.dotted: one for one in chart_docs.commented()}
    assert found["image.requireDigest"].default is False
    assert found["webhook.failurePolicy"].text.startswith("What happens to agent pods while no")
    assert "injector.resources" not in {one.dotted for one in chart_docs.leaves()}


@pytest.mark.parametrize("path", sorted(CHART.glob("values*.yaml")), ids=lambda it: it.name)
def test_no_values_file_names_a_real_host(path) -> None:
    assert "ghcr.io" not in path.read_text("utf-8")
    assert "docker.io" not in path.read_text("utf-8")
