"""Where policy comes from: what changes it, and who can confirm it."""

import pytest

from outrider.core.errors import ConfigError
from outrider.policy.archive import Packed
from outrider.policy.policy_source import PolicySource
from tests.support.bundles import a_bundle
from tests.support.policy import ALLOW_ALL, write_tree


def test_files_confirm_themselves_and_what_is_fetched_does_not(tmp_path):
    assert not PolicySource(path=tmp_path).is_fetched
    assert PolicySource(path=None).is_fetched
    assert PolicySource(path=Packed(name="b", content=b"")).is_fetched


def test_before_anything_was_fetched_there_is_nothing_to_load():
    with pytest.raises(ConfigError, match="no bundle was fetched yet"):
        PolicySource(path=None).load()


def test_a_fetched_bundle_changes_with_its_bytes_and_with_what_is_laid_over(tmp_path):
    over = write_tree(tmp_path / "o", {"outrider/x/data.yaml": "a: 1\n"})
    one = PolicySource(path=Packed(name="b", content=b"1"), overlays=(over,))
    two = PolicySource(path=Packed(name="b", content=b"2"), overlays=(over,))
    before = one.fingerprint()
    assert before == one.fingerprint() != two.fingerprint()
    write_tree(over, {"outrider/x/data.yaml": "a: 22\n"})
    assert one.fingerprint() != before


def test_files_that_cannot_be_looked_at_are_a_state_of_their_own(tmp_path):
    tree = write_tree(tmp_path / "t", {"outrider/main.rego": ALLOW_ALL})
    source = PolicySource(path=tree)
    before = source.fingerprint()
    (tree / "out").symlink_to("/etc/hostname")
    assert source.fingerprint() != before
    assert source.fingerprint() == source.fingerprint()


def test_what_is_laid_over_a_fetched_bundle_counts(tmp_path):
    over = write_tree(tmp_path / "o", {"outrider/x/data.yaml": "a: 1\n"})
    packed = Packed(name="b", content=a_bundle())
    release = PolicySource(path=packed, overlays=(over,)).load()
    assert release.data["outrider"]["x"] == {"a": 1}
