"""Each obligation's fields, bounds and defaults."""

from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from outrider.core.obligation import (
    ApprovalObligation,
    CredentialObligation,
    HeaderObligation,
    LabelObligation,
    LimitObligation,
    NarrowObligation,
    NotifyObligation,
    QuarantineObligation,
    RedactObligation,
)
from outrider.core.vocabulary import Sensitivity
from outrider.policy.obligations import parse_obligation


@pytest.mark.parametrize(
    ("raw", "parsed"),
    [
        pytest.param(
            {"type": "approval", "group": "leads"}, ApprovalObligation(group="leads"), id="approval"
        ),
        pytest.param(
            {"type": "credential", "provider": "bao", "role": "crm", "scope": ["mail:send"],
             "ttl_s": 60},
            CredentialObligation(provider="bao", role="crm", scope=("mail:send",), ttl_s=60),
            id="credential",
        ),
        pytest.param(
            {"type": "redact", "pointer": "/result/a~1b", "with": 0},
            RedactObligation(pointer="/result/a~1b", replacement=0), id="redact",
        ),
        pytest.param(
            {"type": "redact", "pointer": "/a"}, RedactObligation(pointer="/a"), id="redact-plain"
        ),
        pytest.param(
            {"type": "limit", "response_bytes": 10, "records": 0},
            LimitObligation(response_bytes=10, records=0), id="limit",
        ),
        pytest.param(
            {"type": "label", "sensitivity": "secret", "labels": ["untrusted"]},
            LabelObligation(sensitivity=Sensitivity.SECRET, labels=("untrusted",)), id="label",
        ),
        pytest.param({"type": "label", "labels": ["pii"]}, LabelObligation(labels=("pii",)),
                     id="labels-alone"),
        pytest.param(
            {"type": "header", "set": {"X-B": "2", "x-a": "1"}},
            HeaderObligation(set=(("x-a", "1"), ("x-b", "2"))), id="header",
        ),
        pytest.param(
            {"type": "narrow", "grant": {"effects": ["read"]}},
            NarrowObligation(grant={"effects": ["read"]}), id="narrow",
        ),
        pytest.param(
            {"type": "quarantine", "scope": "task", "reason": "SQ-01"},
            QuarantineObligation(scope="task", reason="SQ-01"), id="quarantine",
        ),
        pytest.param(
            {"type": "notify", "channel": "security", "severity": "high"},
            NotifyObligation(channel="security", severity="high"), id="notify",
        ),
    ],
)  # fmt: skip
def test_is_parsed_into_its_type(raw, parsed):
    assert parse_obligation(raw) == parsed


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param({}, id="no-type"),
        pytest.param({"type": None}, id="type-null"),
        pytest.param({"type": "Approval", "group": "a"}, id="case"),
        pytest.param({"type": "approval"}, id="no-group"),
        pytest.param({"type": "approval", "group": "a\nb"}, id="group-of-two-lines"),
        pytest.param({"type": "approval", "group": "a", "quorum": 0}, id="quorum-0"),
        pytest.param({"type": "approval", "group": "a", "quorum": True}, id="quorum-true"),
        pytest.param({"type": "approval", "group": "a", "four_eyes": 1}, id="four-eyes-1"),
        pytest.param({"type": "approval", "group": "a", "step_up": []}, id="step-up-list"),
        pytest.param({"type": "approval", "group": "a", "step_up": {}}, id="step-up-empty"),
        pytest.param(
            {"type": "approval", "group": "a", "step_up": {"acr": "mfa", "x": 1}}, id="step-up-key"
        ),
        pytest.param({"type": "credential", "provider": "a", "scope": "x"}, id="scope-string"),
        pytest.param({"type": "credential", "provider": "a", "scope": [1]}, id="scope-number"),
        pytest.param({"type": "redact", "pointer": ""}, id="whole-document"),
        pytest.param({"type": "redact", "pointer": "/" + "a" * 512}, id="pointer-too-long"),
        pytest.param({"type": "header", "set": {"x": 1}}, id="header-number"),
        pytest.param({"type": "header", "set": {"x": "é"}}, id="header-not-ascii"),
        pytest.param({"type": "label", "labels": ["no-such"]}, id="label-form"),
        pytest.param({"type": "narrow"}, id="narrow-nothing"),
        pytest.param({"type": "limit", "records": -1}, id="limit-negative"),
    ],
)
def test_is_refused_when_not_understood(raw):
    with pytest.raises(ValueError, match="obligation"):
        parse_obligation(raw)


TYPES = [
    "approval", "credential", "redact", "limit", "label", "header", "narrow", "quarantine",
    "notify", "other",
]  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    ["group", "provider", "pointer", "set", "grant", "scope", "labels", "records", "step_up"]
)


@given(st.sampled_from(TYPES), st.dictionaries(FIELDS, VALUES, max_size=3))
def test_nothing_raises_but_its_own_error(kind, fields):
    with suppress(ValueError):
        parse_obligation({"type": kind, **fields})
