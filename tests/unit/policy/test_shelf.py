"""The last good bundle: kept as it came, with the time it was confirmed."""

import pytest

from outrider.core.errors import ConfigError
from outrider.policy.archive import Packed
from outrider.policy.shelf import Kept, Shelf

PACKED = Packed(name="https://p.test/b", content=b"bundle")


def kept(**changes):
    fields = {"packed": PACKED, "etag": '"1"', "confirmed_unix_s": 5.5}
    return Kept(**fields | changes)


def test_what_is_kept_is_found_after_a_restart(tmp_path):
    Shelf(tmp_path).keep(kept())
    assert Shelf(tmp_path).load(PACKED.name) == kept()


def test_a_confirmation_is_kept_too(tmp_path):
    shelf = Shelf(tmp_path)
    shelf.keep(kept())
    shelf.confirmed('"2"', 9.0)
    assert Shelf(tmp_path).load(PACKED.name) == kept(etag='"2"', confirmed_unix_s=9.0)


def test_what_was_loaded_can_be_confirmed(tmp_path):
    Shelf(tmp_path).keep(kept())
    shelf = Shelf(tmp_path)
    shelf.load(PACKED.name)
    shelf.confirmed('"1"', 9.0)
    assert Shelf(tmp_path).load(PACKED.name) == kept(confirmed_unix_s=9.0)


def test_before_anything_was_kept_there_is_nothing(tmp_path):
    shelf = Shelf(tmp_path / "nowhere")
    assert shelf.load(PACKED.name) is None
    shelf.confirmed('"1"', 9.0)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("file", "content"),
    [
        pytest.param("bundle.tar.gz", b"another", id="another-bundle"),
        pytest.param("bundle.json", b"{}", id="facts-of-nothing"),
        pytest.param("bundle.json", b"[]", id="no-facts"),
    ],
)
def test_what_does_not_fit_together_is_not_used(tmp_path, file, content):
    Shelf(tmp_path).keep(kept())
    (tmp_path / file).write_bytes(content)
    assert Shelf(tmp_path).load(PACKED.name) is None


def test_another_sources_bundle_is_not_used(tmp_path):
    Shelf(tmp_path).keep(kept())
    assert Shelf(tmp_path).load("https://q.test/b") is None


def test_facts_that_cannot_be_read_are_said(tmp_path):
    Shelf(tmp_path).keep(kept())
    (tmp_path / "bundle.json").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="cannot be read"):
        Shelf(tmp_path).load(PACKED.name)
