"""Rollback protection: an older signed bundle is refused, also after a restart."""

from dataclasses import replace

import pytest

from outrider.core.errors import ConfigError
from outrider.policy.ledger import SequenceLedger
from outrider.policy.signature import Signed, UnverifiedError
from tests.support.policy import a_release


def signed(sequence=1, content="c", **metadata):
    said = {"sequence": sequence} if sequence is not None else {}
    made = a_release(declared={"metadata": said | metadata})
    return replace(made, signed=Signed(key="release", scope="outrider", content=content))


def test_the_highest_is_remembered_across_restarts(tmp_path):
    SequenceLedger(tmp_path).note(signed(3))
    again = SequenceLedger(tmp_path)
    assert again.highest() == 3
    again.check(signed(3), fetched=True)
    again.check(signed(4, "d"), fetched=True)
    with pytest.raises(UnverifiedError, match="2 is older than 3"):
        again.check(signed(2, "b"), fetched=True)


def test_of_one_sequence_there_is_one_content(tmp_path):
    ledger = SequenceLedger(tmp_path)
    ledger.note(signed(3, "c"))
    with pytest.raises(UnverifiedError, match="another bundle of sequence 3"):
        ledger.check(signed(3, "d"), fetched=True)


@pytest.mark.parametrize("sequence", [None, -1, True, "7", 1.5])
def test_what_was_fetched_says_its_sequence(tmp_path, sequence):
    ledger = SequenceLedger(tmp_path)
    with pytest.raises(UnverifiedError, match=r"no metadata\.sequence"):
        ledger.check(signed(sequence), fetched=True)
    ledger.check(signed(sequence), fetched=False)
    ledger.note(signed(sequence))
    assert ledger.highest() is None


def test_a_signed_file_without_a_sequence_follows_none_that_has_one(tmp_path):
    ledger = SequenceLedger(tmp_path)
    ledger.note(signed(1))
    with pytest.raises(UnverifiedError, match=r"no metadata\.sequence"):
        ledger.check(signed(None), fetched=False)


def test_what_is_not_signed_is_no_affair_of_its(tmp_path):
    ledger = SequenceLedger(tmp_path, least=9)
    ledger.check(a_release(declared={"metadata": {"sequence": 1}}), fetched=False)
    ledger.note(a_release(declared={"metadata": {"sequence": 1}}))
    assert ledger.highest() is None


def test_an_operator_goes_back_and_from_there_only_forward(tmp_path):
    ledger = SequenceLedger(tmp_path)
    ledger.note(signed(7))
    ledger.allow(5)
    ledger.check(signed(5, "old"), fetched=True)
    with pytest.raises(UnverifiedError, match="older than 5"):
        ledger.check(signed(4), fetched=True)
    ledger.note(signed(5, "old"))
    with pytest.raises(UnverifiedError, match="another bundle"):
        ledger.check(signed(5, "x"), fetched=True)


def test_below_the_least_of_the_settings_nothing_counts(tmp_path):
    ledger = SequenceLedger(tmp_path, least=5)
    ledger.check(signed(5), fetched=True)
    with pytest.raises(UnverifiedError, match=r"below policy\.signature\.least_sequence 5"):
        ledger.check(signed(4), fetched=True)
    with pytest.raises(UnverifiedError, match=r"no metadata\.sequence"):
        ledger.check(signed(None), fetched=False)
    with pytest.raises(ConfigError, match="least_sequence"):
        ledger.allow(4)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"sequence": "3", "content": null}', b"\xff"])
def test_a_memory_that_cannot_be_read_lets_nothing_pass(tmp_path, content):
    (tmp_path / "sequence.json").write_bytes(content)
    with pytest.raises(ConfigError):
        SequenceLedger(tmp_path).check(signed(9), fetched=True)


def test_the_same_is_not_written_again(tmp_path):
    ledger = SequenceLedger(tmp_path)
    ledger.note(signed(1))
    before = (tmp_path / "sequence.json").stat().st_ino
    ledger.note(signed(1))
    assert (tmp_path / "sequence.json").stat().st_ino == before
