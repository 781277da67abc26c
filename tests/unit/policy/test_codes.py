"""Each code that policy gives has one line in settings.rego, and codes of the proxy have none."""

import pytest

from outrider.config.paths import shipped_rego
from outrider.core.errors import ConfigError
from outrider.policy.bundle import read
from outrider.policy.codes import settings_text
from outrider.policy.index import indexes, outdated
from tests.support.policy import ALLOW_ALL, a_tree

HEAD = "package outrider\n\n# METADATA\n# description: Mine\n"
RULE = {"package": "outrider.controls.x"}


def line(code):
    return f'settings("{code}") := data.outrider.rules["{code}"]\n'


def tree(text, catalogue=None, rules=None):
    modules = {"outrider/main.rego": ALLOW_ALL, "outrider/settings.rego": text}
    return a_tree(modules, {"rules": rules or {}}, catalogue=catalogue)


def test_codes_of_rego_stand_in_order_under_the_old_head():
    found = tree(HEAD + "\n" + line("ZZ-99"), {"TS-02": RULE, "EF-01": RULE})
    assert settings_text(found) == HEAD + line("EF-01") + "\n" + line("TS-02")
    assert outdated(found) == ["outrider/settings.rego"]


def test_what_is_written_is_up_to_date():
    text = settings_text(tree(HEAD, {"EF-01": RULE}))
    assert outdated(tree(text, {"EF-01": RULE})) == []


@pytest.mark.parametrize(
    ("catalogue", "rules", "codes"),
    [
        pytest.param({"ID-01": {"package": None}}, {}, [], id="what-the-proxy-enforces"),
        pytest.param({"ID-01": {}}, {}, [], id="a-row-without-a-package"),
        pytest.param(None, {"HD-01": {"mode": "off"}}, ["HD-01"], id="settings-without-a-row"),
        pytest.param(None, {"helpdesk": {"x": 1}}, [], id="a-teams-data"),
        pytest.param({'X"] := 1 #': RULE}, {}, [], id="a-code-that-is-none"),
    ],
)
def test_only_codes_that_rego_gives_get_a_line(catalogue, rules, codes):
    assert settings_text(tree(HEAD, catalogue, rules)) == HEAD + "\n".join(map(line, codes))


def test_a_tree_without_the_file_needs_none():
    assert "outrider/settings.rego" not in indexes(a_tree(catalogue={"EF-01": RULE}))


def test_a_catalogue_that_cannot_be_read_is_told():
    with pytest.raises(ConfigError, match="without an id"):
        settings_text(tree(HEAD, [{"title": "no id"}]))


def test_the_shipped_settings_are_what_is_generated():
    shipped = read(shipped_rego())
    assert shipped.modules["outrider/settings.rego"] == settings_text(shipped)
