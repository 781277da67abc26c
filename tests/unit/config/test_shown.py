"""What is shown of settings is settings again."""

from pathlib import Path

import pytest

from outrider.config.load import load, validate
from outrider.config.shown import as_yaml, in_force
from outrider.core.jsonvalue import JsonObject, as_object

SETTINGS = [
    pytest.param({}, id="defaults"),
    pytest.param(
        {"listeners": {"egress": {"unix": "e.sock", "unix_mode": 0o600, "uids": [7]}}}, id="socket"
    ),
    pytest.param({"data_dir": "yes", "environment": "0660"}, id="text-that-looks-otherwise"),
    pytest.param(
        {
            "identity": {"spiffe_id": "spiffe://acme.test/a"},
            "upstreams": {"crm": {"url": "https://crm.test", "prefix": "/crm"}},
        },
        id="an-upstream-of-the-web-pki",
    ),
]


@pytest.mark.parametrize("document", SETTINGS)
def test_what_is_shown_is_read_as_the_same_settings(tmp_path: Path, document: JsonObject) -> None:
    before = validate(document)
    file = tmp_path / "outrider.yaml"
    file.write_text(as_yaml(before), "utf-8")
    assert load(file, {}).settings == before
    assert validate(as_object(in_force(before))) == before


@pytest.mark.parametrize(
    ("mode", "shown"), [(0o660, "0660"), (0o600, "0600"), (7, "07"), (0, "00")]
)
def test_a_mode_is_shown_as_people_write_it(mode: int, shown: str) -> None:
    settings = validate({"listeners": {"egress": {"unix": "e.sock", "unix_mode": mode}}})
    assert f"    unix_mode: {shown}\n" in as_yaml(settings)


def test_what_is_not_set_is_left_out() -> None:
    text = as_yaml(validate({}))
    assert "null" not in text
    assert "spiffe_id" not in text
