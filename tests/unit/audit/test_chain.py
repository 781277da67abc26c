"""The chain names the first record that cannot stand, and why."""

import hashlib
import re

import orjson
import pytest
import rfc8785

from outrider.audit.chain import (
    ZERO_HASH,
    BreakReason,
    OpenDecisions,
    Verifier,
    read_record,
    seal,
    verify,
)
from tests.support.audit import CHAIN, a_chain, a_record, pairs


def test_a_line_is_the_canonical_record_with_the_hash_of_the_rest():
    sealed = seal(a_record(), 7, ZERO_HASH, CHAIN)
    record = orjson.loads(sealed.line)
    assert sealed.line == rfc8785.dumps(record) + b"\n"
    assert (record["seq"], record["prev"], record["chain"]) == (7, ZERO_HASH, CHAIN)
    stated = record.pop("hash")
    expected = hashlib.sha256(b"\x00" + rfc8785.dumps(record)).hexdigest()
    assert stated == sealed.hash == "sha256:" + expected


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"f": 0.1, "g": 1e300}, id="floats"),
        pytest.param({"\U00010000": 1, "\uf000": 2}, id="names-sorted-by-utf16"),
        pytest.param({"hash": "sha256:" + "0" * 64}, id="an-inner-hash"),
        pytest.param({"text": '"hash":"sha256:0"', "del": "\x7f\x00é"}, id="text-like-a-member"),
    ],
)
def test_any_json_seals_to_its_canonical_form(value):
    line = seal(a_record(behaviour=value), 0, ZERO_HASH, CHAIN).line
    assert line == rfc8785.dumps(orjson.loads(line)) + b"\n"
    assert read_record(line) is not None


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(a_record(big=2**53), id="integer-beyond-bounds"),
        pytest.param(a_record(big=2.0**53), id="float-that-reads-as-such-an-integer"),
        pytest.param(a_record(text="\ud800"), id="lone-surrogate"),
        pytest.param(a_record(text="x" * (1 << 20)), id="too-long"),
    ],
)
def test_what_has_no_canonical_form_is_not_sealed(record):
    with pytest.raises(ValueError, match=r"."):
        seal(record, 0, ZERO_HASH, CHAIN)


def test_a_whole_chain_stands():
    report = verify(a_chain(*pairs(3)))
    assert (report.records, report.broken, report.unresolved) == (7, None, ())
    assert (report.chains, report.seq) == (1, 6)


def test_a_second_boot_links_to_the_head_before_it():
    first = a_chain(*pairs(1))
    second = a_chain(*pairs(1), chain="other#2", head=verify(first).head)
    assert verify([*first, *second]).broken is None
    unlinked = a_chain(chain="other#2")
    broken = verify([*first, *unlinked]).broken
    assert broken is not None
    assert (broken.index, broken.reason) == (3, BreakReason.PREV)


def _resealed(change):
    lines = a_chain(*pairs(2))
    record = orjson.loads(lines[2])
    for name in ("hash", "seq", "prev", "chain"):
        record.pop(name)
    return [*lines[:2], seal(record | change, 2, orjson.loads(lines[1])["hash"], CHAIN).line]


MUTATIONS = [
    pytest.param(lambda li: [*li[:2], *li[3:]], 2, {"seq"}, id="delete"),
    pytest.param(lambda li: li[1:], 0, {"seq"}, id="delete-the-first"),
    pytest.param(lambda li: [*li[:2], li[1], *li[2:]], 2, {"seq"}, id="insert-a-copy"),
    pytest.param(lambda li: [*li[:2], li[3], li[2], *li[4:]], 2, {"seq"}, id="reorder"),
    pytest.param(lambda li: [*li[:3], li[3][:-1]], 3, {"parse"}, id="truncate-in-a-line"),
    pytest.param(lambda li: [*li[:2], b"\n", *li[2:]], 2, {"parse"}, id="empty-line"),
    pytest.param(lambda li: [li[0].replace(b":", b": ", 1), *li[1:]], 0, {"parse"}, id="spaces"),
    pytest.param(lambda li: [*li[:2], b"[]\n", *li[2:]], 2, {"parse"}, id="not-an-object"),
    pytest.param(
        lambda li: [*li[:2], li[2].replace(b'{"', b'{"action":1,"action":1,"', 1)],
        2,
        {"parse"},
        id="doubled-name",
    ),
    pytest.param(
        lambda li: [*li[:2], re.sub(rb"dec-1", b"dec-9", li[2]), *li[3:]], 2, {"hash"}, id="edit"
    ),
    pytest.param(
        lambda li: [*li[:2], re.sub(rb'"hash":"[^"]*",', b"", li[2])], 2, {"hash"}, id="no-hash"
    ),
    pytest.param(lambda _: _resealed({"kind": "nonsense"}), 2, {"meaning"}, id="unknown-kind"),
    pytest.param(
        lambda _: _resealed({"decision": {"id": "never"}}), 2, {"meaning"}, id="foreign-outcome"
    ),
    pytest.param(lambda _: _resealed({"decision": None}), 2, {"meaning"}, id="nameless-outcome"),
    pytest.param(
        lambda _: _resealed({"kind": "decision", "decision": {"id": "dec-1"}}),
        2,
        {"meaning"},
        id="decided-twice",
    ),
]


@pytest.mark.parametrize(("mutate", "index", "reasons"), MUTATIONS)
@pytest.mark.control("AU-02")
def test_a_mutation_is_named_at_its_record(mutate, index, reasons):
    broken = verify(mutate(a_chain(*pairs(2)))).broken
    assert broken is not None
    assert broken.index == index
    assert broken.reason.value in reasons


def test_a_fork_is_found_where_the_branches_meet():
    lines = a_chain(*pairs(2))
    other = a_chain(*pairs(1), a_record("decision", 7), a_record("outcome", 7))
    broken = verify([*lines[:3], *other[3:]]).broken
    assert broken is None  # a branch that hangs on the same record is a chain of its own
    broken = verify([*lines[:4], *other[4:]]).broken
    assert broken is not None
    assert (broken.index, broken.reason) == (4, BreakReason.PREV)


def test_a_permitted_decision_without_outcome_is_unresolved_not_broken():
    report = verify(
        a_chain(a_record("decision", 1), a_record("decision", 2), a_record("outcome", 2))
    )
    assert (report.broken, report.unresolved, report.unresolved_count) == (None, ("dec-1",), 1)


def test_a_denial_needs_no_outcome():
    denied = a_record(decision={"id": "dec-1", "effect": "deny", "enforced": "deny"})
    assert verify(a_chain(denied)).unresolved == ()


def test_a_gap_resolves_the_decisions_it_names():
    gap = a_record("gap", 2, gap={"cause": "unresolved", "decisions": [7, "dec-1"]})
    report = verify(a_chain(a_record("decision", 1), gap))
    assert (report.broken, report.unresolved, report.gaps) == (None, (), 1)


def test_a_chain_whose_beginning_was_retired_is_walked_from_there():
    lines = a_chain(*pairs(3))
    report = verify(lines[2:], whole=False)  # begins with the outcome of a decision not seen
    assert (report.broken, report.whole, report.records) == (None, False, 5)
    broken = verify([*lines[2:4], *lines[5:]], whole=False).broken
    assert broken is not None
    assert broken.index == 2


def test_nothing_is_checked_after_the_first_break():
    verifier = Verifier()
    first = verifier.feed(b"nonsense\n")
    assert verifier.feed(a_chain()[0]) is first
    assert verifier.report().records == 0


def test_a_seq_of_another_type_is_no_record():
    lines = a_chain()
    record = orjson.loads(lines[0])
    record.pop("hash")
    record["seq"] = False
    body = rfc8785.dumps(record)
    record["hash"] = "sha256:" + hashlib.sha256(b"\x00" + body).hexdigest()
    broken = verify([rfc8785.dumps(record) + b"\n"]).broken
    assert broken is not None
    assert broken.reason is BreakReason.PARSE


def test_open_decisions_remember_what_they_were_told():
    assert OpenDecisions(["a", "b"]).ids() == ("a", "b")
    assert len(OpenDecisions()) == 0
    assert OpenDecisions().see(a_record(decision={"id": 7})) == "a decision without an id"


def test_a_line_that_is_no_record_reads_as_none():
    assert read_record(b'{"kind":"boot"}\n') is None
