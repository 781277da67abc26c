"""The closed sets are those of the specifications, as `mcp_types` has them."""

from typing import get_args

import mcp_types
import pytest
from mcp_types import methods

from outrider.core.vocabulary import ActionEffect
from outrider.protocols.adapters.mcp import spec

OLDEST = "2024-11-05"  # its HTTP+SSE transport is not spoken here


def _of(table: object) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for method, version in table:  # type: ignore[attr-defined]
        if version != OLDEST:
            found.setdefault(method, set()).add(version)
    return found


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (spec.CLIENT_REQUESTS, methods.CLIENT_REQUESTS),
        (spec.CLIENT_NOTIFICATIONS, methods.CLIENT_NOTIFICATIONS),
        (spec.SERVER_REQUESTS, methods.SERVER_REQUESTS),
        (spec.SERVER_NOTIFICATIONS, methods.SERVER_NOTIFICATIONS),
    ],
    ids=["client-requests", "client-notifications", "server-requests", "server-notifications"],
)
def test_methods_are_known_for_the_same_versions(
    ours: dict[str, frozenset[str]], theirs: object
) -> None:
    # Tasks are an extension that mcp_types leaves out.
    without_tasks = {key: set(value) for key, value in ours.items() if "tasks" not in key}
    assert without_tasks == _of(theirs)


def test_versions_and_meta_keys_are_the_specifications() -> None:
    known = (*spec.LEGACY_VERSIONS, *spec.MODERN_VERSIONS)
    assert (OLDEST, *known) == methods.KNOWN_PROTOCOL_VERSIONS
    assert spec.META_VERSION == mcp_types.PROTOCOL_VERSION_META_KEY
    assert spec.META_CAPABILITIES == mcp_types.CLIENT_CAPABILITIES_META_KEY
    assert spec.META_CLIENT == mcp_types.CLIENT_INFO_META_KEY
    assert spec.META_LOG_LEVEL == mcp_types.LOG_LEVEL_META_KEY
    assert mcp_types.HEADER_MISMATCH == spec.HEADER_MISMATCH
    assert methods.CACHEABLE_METHODS == spec.CACHEABLE
    assert methods.INPUT_REQUIRED_METHODS | {"tasks/get"} == spec.INPUT_METHODS


def test_what_servers_ask_is_never_a_read() -> None:
    assert ActionEffect.READ not in spec.SERVER_ASKS.values()
    assert set(spec.CAPABILITY_OF.values()) == set(spec.SERVER_ASKS)


def _members(table: object, version: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for (method, spoken), model in table.items():  # type: ignore[attr-defined]
        if spoken == version:
            params = model.model_fields["params"].annotation
            kinds = [one for one in get_args(params) or (params,) if hasattr(one, "model_fields")]
            found[method] = {
                field.alias or name for one in kinds for name, field in one.model_fields.items()
            }
    return found


@pytest.mark.parametrize(
    ("version", "added"),
    [(spec.LEGACY_VERSIONS[-1], spec.PARAMS_LEGACY), (spec.MODERN_VERSIONS[0], spec.PARAMS_MODERN)],
)
def test_params_have_the_members_of_the_specification(
    version: str, added: dict[str, frozenset[str]]
) -> None:
    theirs = _members(methods.CLIENT_REQUESTS, version)
    theirs |= _members(methods.CLIENT_NOTIFICATIONS, version)
    ours = {
        method: set(spec.PARAMS_OF[method] | added.get(method, frozenset())) for method in theirs
    }
    assert ours == theirs


def test_every_method_of_a_client_has_its_members() -> None:
    assert spec.PARAMS_OF.keys() == {**spec.CLIENT_REQUESTS, **spec.CLIENT_NOTIFICATIONS}.keys()
