from typing import Any

import pytest

from outrider.core.errors import ConfigError
from outrider.core.manifest import parse_manifest
from outrider.policy.bundle import read, read_document
from outrider.policy.manifest_guess import guess_operation
from outrider.policy.openapi import MAX_OPERATIONS, expanded, read_openapi
from tests.support.policy import ALLOW_ALL, write_tree

DOCUMENT: Any = {
    "openapi": "3.1.0",
    "paths": {
        "/people": {
            "get": {
                "operationId": "listPeople",
                "parameters": [
                    {"name": "tag", "in": "query", "schema": {"type": "array"}},
                    {"$ref": "#/components/parameters/Tenant"},
                    {"name": "session", "in": "cookie"},
                ],
                "responses": {
                    "404": {},
                    "200": {"$ref": "#/components/responses/People"},
                },
            },
            "post": {
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Person"}}
                    }
                }
            },
        },
        "/people/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True}],
            "delete": {"operationId": "fire"},
            "put": {
                "requestBody": {
                    "content": {
                        "application/x-www-form-urlencoded": {
                            "schema": {"properties": {"role": {"type": "array"}}}
                        }
                    }
                }
            },
            "patch": {
                "requestBody": {"content": {"application/json": {"schema": {"type": "array"}}}}
            },
        },
    },
    "components": {
        "parameters": {
            "Tenant": {"name": "X-Tenant", "in": "header", "schema": {"type": "string"}}
        },
        "responses": {
            "People": {"content": {"application/json": {"schema": {"type": "array"}}}},
        },
        "schemas": {
            "Named": {"properties": {"name": {"type": "string"}}, "required": ["name"]},
            "Person": {
                "allOf": [
                    {"$ref": "#/components/schemas/Named"},
                    {"properties": {"email": {"type": "string", "format": "email"}}},
                ]
            },
        },
    },
}


def test_operations_are_read_with_the_arguments_policy_will_see() -> None:
    found = {one.key: one for one in read_openapi(DOCUMENT, "x")}
    assert {key: [one.name for one in found[key].arguments] for key in found} == {
        "GET /people": ["tag", "header.x-tenant"],
        "POST /people": ["name", "email"],
        "PUT /people/{id}": ["id", "role"],
        "PATCH /people/{id}": ["id", "body"],
        "DELETE /people/{id}": ["id"],
    }
    assert found["GET /people"].operation_id == "listPeople"
    assert found["GET /people"].array_fields == ("tag",)
    assert found["GET /people"].output == {"type": "array"}
    assert found["PUT /people/{id}"].array_fields == ("role",)
    assert found["DELETE /people/{id}"].output is None
    schema = found["POST /people"].schema
    assert schema["required"] == ["name"]


def one(path: str = "/a", **operation: Any) -> Any:
    return {"openapi": "3.0.3", "paths": {path: {"get": operation}}}


LOOP = {"$ref": "#/components/parameters/Loop"}
DEEP: Any = {"allOf": [{"$ref": "#/components/schemas/Deep"}]}


@pytest.mark.parametrize(
    ("document", "named"),
    [
        pytest.param({}, "openapi is None; give a document of 3.0 or 3.1", id="no-version"),
        pytest.param({"openapi": "2.0"}, "openapi is '2.0'", id="swagger"),
        pytest.param({"openapi": "3.1.0"}, "paths is missing", id="no-paths"),
        pytest.param(one("a"), "GET a: its path", id="a-path-without-a-slash"),
        pytest.param(one("/a/{b}.json"), "GET /a/{b}.json: its path", id="part-of-a-segment"),
        pytest.param(one(operationId=1), "GET /a: its operationId", id="an-id-of-no-text"),
        pytest.param(one(parameters=[{"in": "query"}]), "a parameter has no name", id="nameless"),
        pytest.param(
            one(parameters=[{"$ref": "other.yaml#/x"}]), "leaves the document", id="elsewhere"
        ),
        pytest.param(
            one(parameters=[{"$ref": "http://x.example/y"}]), "leaves the document", id="fetching"
        ),
        pytest.param(one(parameters=[{"$ref": "#/x/y"}]), "leads nowhere", id="nowhere"),
        pytest.param(
            one(parameters=[LOOP]) | {"components": {"parameters": {"Loop": LOOP}}},
            "lead on without end",
            id="a-loop",
        ),
        pytest.param(
            one(requestBody={"content": {"application/json": {"schema": DEEP}}})
            | {"components": {"schemas": {"Deep": DEEP}}},
            "allOf within allOf",
            id="a-schema-of-itself",
        ),
        pytest.param(
            one(parameters=[{"name": f"p{n}", "in": "query"} for n in range(201)]),
            "more than 200 arguments",
            id="too-many-arguments",
        ),
        pytest.param(
            {
                "openapi": "3.1.0",
                "paths": {f"/p{n}": {"get": {}} for n in range(MAX_OPERATIONS + 1)},
            },
            "more than 2000 operations",
            id="too-many-operations",
        ),
        pytest.param(
            {
                "openapi": "3.1.0",
                "paths": {"/a": {"get": {"operationId": "x"}, "put": {"operationId": "x"}}},
            },
            "its operationId stands twice",
            id="one-id-for-two",
        ),
    ],
)
def test_what_cannot_be_read_refuses_the_whole(document: Any, named: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_openapi(document, "openapi.yaml")
    assert named in str(refused.value)
    assert str(refused.value).startswith("openapi.yaml: ")


def expand(**entry: Any) -> Any:
    upstream = {"owner": "team", "openapi": "openapi.json"} | entry
    return expanded(upstream, lambda _: DOCUMENT, "people", guess_operation)


def test_what_the_manifest_says_stands_and_the_rest_is_execute() -> None:
    said = {
        "listPeople": {"effect": "read", "arguments": {"tag": {"role": "selector"}}},
        "DELETE /people/{id}": {"effect": "delete"},
        "GET /health": {"effect": "read"},
    }
    found = expand(operations=said)
    assert "openapi" not in found
    entries = parse_manifest({"people": found}).upstreams["people"].operations
    assert {key: entry.effect.value for key, entry in entries.items()} == {
        "GET /people": "read",
        "POST /people": "execute",
        "PUT /people/{id}": "execute",
        "PATCH /people/{id}": "execute",
        "DELETE /people/{id}": "delete",
        "GET /health": "read",
    }
    assert entries["GET /people"].operation_id == "listPeople"
    assert found["operations"]["POST /people"]["confirmed"] is False
    assert "confirmed" not in found["operations"]["GET /people"]


def test_guesses_are_made_only_where_they_are_asked_for() -> None:
    found = expand(openapi={"file": "openapi.json", "guess": True})["operations"]
    assert found["GET /people"]["effect"] == "read"
    assert found["DELETE /people/{id}"] == {
        "effect": "execute",
        "confirmed": False,
        "operation_id": "fire",
        "arguments": {"id": {"role": "target", "type": "id", "confirmed": False}},
    }
    assert "arguments" not in expand()["operations"]["DELETE /people/{id}"]


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        pytest.param({"openapi": "../x.yaml"}, "give a file beside this one", id="elsewhere"),
        pytest.param({"openapi": "data.yaml"}, "give a file beside this one", id="data"),
        pytest.param({"openapi": 1}, "give a file beside this one", id="a-number"),
        pytest.param({"openapi": {"file": "openapi.json", "x": 1}}, "give a file", id="a-key"),
        pytest.param(
            {"operations": {"gone": {"effect": "read"}}}, "no such operationId", id="no-such-id"
        ),
        pytest.param(
            {"operations": {"fire": {}, "DELETE /people/{id}": {}}},
            "stands there twice",
            id="twice",
        ),
        pytest.param(
            {"operations": {"fire": {"arguments": {"who": {"role": "target"}}}}},
            "operations.fire.arguments.who: it has no such one",
            id="no-such-argument",
        ),
    ],
)
def test_what_fits_no_document_is_refused(entry: Any, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        expand(**entry)


YAML = """openapi: 3.0.3
paths:
  /answers:
    get:
      operationId: answers
      parameters:
        - {name: on, in: query, schema: {type: integer, maximum: 9223372036854775807}}
      responses:
        200: {description: yes}
"""


def test_a_document_beside_the_manifest_is_part_of_the_tree(tmp_path: Any) -> None:
    files = {
        "outrider/main.rego": ALLOW_ALL,
        "outrider/manifest/faq/data.yaml": "owner: team\nopenapi: openapi.yaml\n",
        "outrider/manifest/faq/openapi.yaml": YAML,
    }
    tree = read(write_tree(tmp_path, files))
    entry: Any = tree.data["outrider"]
    assert entry["manifest"]["faq"]["operations"]["GET /answers"]["operation_id"] == "answers"
    assert "outrider/manifest/faq/openapi.yaml" in tree.files
    (tmp_path / "outrider/manifest/faq/openapi.yaml").unlink()
    with pytest.raises(ConfigError, match=r"faq/openapi\.yaml: no such file"):
        read(tmp_path)


def test_a_foreign_document_is_read_for_its_words() -> None:
    found: Any = read_document("on: yes\n200: 010\nbig: 12345678901234567890\nsmall: 1\n", "x")
    assert found == {"on": "yes", "200": "010", "big": "12345678901234567890", "small": 1}
    with pytest.raises(ConfigError, match="anchors"):
        read_document("a: &x {b: 1}\nc: *x\n", "x")
