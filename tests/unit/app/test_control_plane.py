"""What the control API shows of the pin table."""

import pytest

from outrider.app.control_plane import PinsView
from outrider.core.jsonvalue import Json, JsonObject
from outrider.protocols.pins import PinMode, PinTable, described
from tests.support.mcp_exchange import a_tool

NEW = [
    pytest.param({}, "added", id="added"),
    pytest.param({"description": "x" * 9000}, "long_description", id="long"),
    pytest.param({"title": "e\u200bcho"}, "invisible_characters", id="invisible"),
]


def _view(mode: PinMode, *definitions: JsonObject) -> PinsView:
    table = PinTable()
    for definition in definitions:
        said = described("crm", "echo", definition)
        assert said is not None
        table.observe("crm", "tools", [said], mode)
    return PinsView(table)


@pytest.mark.parametrize(("changes", "why"), NEW)
def test_a_definition_that_was_never_accepted_is_new_and_says_why(
    changes: dict[str, Json], why: str
) -> None:
    found = _view(PinMode.ENFORCE, {**a_tool(), **changes}).differences("crm", "echo")
    assert found["new"] == why
    assert found["changes"]


@pytest.mark.parametrize(
    "definitions",
    [
        pytest.param((a_tool(),), id="accepted"),
        pytest.param((a_tool(), a_tool(description="another")), id="changed"),
    ],
)
def test_another_is_not_new(definitions: tuple[JsonObject, ...]) -> None:
    assert _view(PinMode.RECORD, *definitions).differences("crm", "echo")["new"] is None
