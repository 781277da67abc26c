"""On whose word policy is taken: what was fetched is signed, and what says it is, must be."""

from pathlib import Path

import pytest

from outrider.policy.archive import Packed
from outrider.policy.signature import UnverifiedError
from outrider.policy.trust import Trust
from tests.support.bundles import SCOPE, a_signing_key, bundle_files, signed

KEY = a_signing_key()
PACKED = Packed(name="https://p.test/b", content=b"")


def trust(**changes):
    fields = {"keys": lambda: {KEY.id: KEY.verifying}, "scope": SCOPE}
    return Trust(**fields | changes)


def test_what_was_fetched_is_signed_or_refused():
    assert trust().judge(PACKED, signed(bundle_files())).key == KEY.id
    with pytest.raises(UnverifiedError, match=r"https://p\.test/b: the bundle is not signed"):
        trust().judge(PACKED, bundle_files())
    with pytest.raises(UnverifiedError, match="not signed"):
        Trust().judge(PACKED, bundle_files())


def test_a_local_file_need_not_be_signed_but_a_signature_must_hold(tmp_path):
    file = tmp_path / "b.tar.gz"
    assert trust().judge(file, bundle_files()) is None
    assert trust().judge(file, signed(bundle_files())).key == KEY.id
    with pytest.raises(UnverifiedError, match="does not name"):
        trust().judge(file, signed(bundle_files(), a_signing_key(id="other")))
    with pytest.raises(UnverifiedError, match="names no key"):
        Trust().judge(file, signed(bundle_files()))


def test_a_folder_under_work_may_carry_a_signature_of_yesterday(tmp_path):
    files = {**signed(bundle_files()), "outrider/main.rego": b"package outrider\n"}
    assert trust().judge(tmp_path, files) is None
    with pytest.raises(UnverifiedError, match="not what was signed"):
        trust(local=True).judge(tmp_path, files)


def test_where_local_policy_must_be_signed_only_the_shipped_library_need_not(tmp_path):
    strict = trust(local=True, shipped=tmp_path)
    assert strict.judge(tmp_path, bundle_files()) is None
    for place in (tmp_path / "more", Path("pack.yaml")):
        with pytest.raises(UnverifiedError, match="not signed"):
            strict.judge(place, {})
