"""The table of POLICY §1, row by row: what is not plainly an allow is a deny."""

import pytest
from hypothesis import given, strategies as st

from outrider.core.obligation import ApprovalObligation, HeaderObligation, LimitObligation
from outrider.core.ports import Defined, Failed, Meta, Undefined
from outrider.core.vocabulary import Effect, Reason
from outrider.policy.result import Source, decide
from tests.support.policy import answers, fails

SOURCE = Source(engine="embedded", revision="rev-1", expected=frozenset({"rev-1"}))
APPROVAL = {"type": "approval", "group": "leads"}


def decided(raw):
    return decide(raw, id="dec-1", source=SOURCE)


def outcome(value):
    decision = decided(answers(value))
    return decision.effect, decision.reason


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(True, id="true"),
        pytest.param({"effect": "allow"}, id="bare-object"),
        pytest.param(
            {"effect": "allow", "reasons": [], "obligations": [], "revision": "rev-1", "ttl_s": 0},
            id="whole-object",
        ),
        pytest.param({"effect": "allow", "revision": ""}, id="unbuilt-tree"),
        pytest.param({"effect": "allow", "ttl_s": 3600}, id="longest-ttl"),
    ],
)
def test_a_plain_allow_allows(value):
    assert outcome(value) == (Effect.ALLOW, None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(False, (Effect.DENY, Reason.POLICY), id="false"),
        pytest.param({"effect": "deny"}, (Effect.DENY, Reason.POLICY), id="deny"),
        pytest.param(
            {"effect": "hold", "obligations": [APPROVAL]}, (Effect.HOLD, Reason.HELD), id="hold"
        ),
        pytest.param({"effect": "hold"}, (Effect.DENY, Reason.OBLIGATION), id="hold-by-nobody"),
        pytest.param(
            {"effect": "hold", "obligations": [{"type": "limit", "records": 1}]},
            (Effect.DENY, Reason.OBLIGATION),
            id="hold-with-another-obligation",
        ),
    ],
)
def test_deny_and_hold_are_what_they_say(value, expected):
    assert outcome(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="null"),
        pytest.param(1, id="one-is-not-true"),
        pytest.param("allow", id="string"),
        pytest.param([{"effect": "allow"}], id="array"),
        pytest.param({}, id="no-effect"),
        pytest.param({"effect": "Allow"}, id="case-matters"),
        pytest.param({"effect": "permit"}, id="unknown-effect"),
        pytest.param({"effect": True}, id="effect-true"),
        pytest.param({"effect": ["allow"]}, id="effect-in-a-list"),
        pytest.param({"effect": "allow", "obligation": []}, id="misspelt-key"),
        pytest.param({"allowed": True}, id="the-plugins-own-shape"),
        pytest.param({"effect": "allow", "revision": 7}, id="revision-number"),
        pytest.param({"effect": "allow", "revision": None}, id="revision-null"),
        pytest.param({"effect": "allow", "reasons": {}}, id="reasons-object"),
        pytest.param({"effect": "allow", "reasons": ["x"]}, id="reason-string"),
        pytest.param({"effect": "allow", "reasons": [{"message": "x"}]}, id="reason-without-code"),
        pytest.param({"effect": "allow", "reasons": [{"code": "A", "mode": "x"}]}, id="mode"),
        pytest.param({"effect": "allow", "reasons": [{"code": "A", "refs": [1]}]}, id="refs"),
        pytest.param({"effect": "allow", "reasons": [{"code": "A", "pointer": 1}]}, id="pointer"),
        pytest.param({"effect": "allow", "reasons": [{"code": "A", "message": 1}]}, id="message"),
        pytest.param({"effect": "allow", "obligations": None}, id="obligations-null"),
        pytest.param({"effect": "allow", "obligations": ["x"]}, id="obligation-string"),
        pytest.param({"effect": "allow", "obligations": [{}]}, id="obligation-without-type"),
        pytest.param({"effect": "allow", "obligations": [{"type": 1}]}, id="obligation-type"),
        pytest.param({"effect": "allow", "obligations": [APPROVAL]}, id="approval-beside-allow"),
        pytest.param({"effect": "allow", "ttl_s": 3601}, id="ttl-too-long"),
        pytest.param({"effect": "allow", "ttl_s": -1}, id="ttl-negative"),
        pytest.param({"effect": "allow", "ttl_s": True}, id="ttl-true"),
        pytest.param({"effect": "allow", "ttl_s": 1.0}, id="ttl-fraction"),
    ],
)
def test_what_is_no_decision_is_malformed(value):
    assert outcome(value) == (Effect.DENY, Reason.POLICY_MALFORMED)


@pytest.mark.parametrize(
    "obligation",
    [
        pytest.param({"type": "sing"}, id="unknown-type"),
        pytest.param({"type": "limit"}, id="limits-nothing"),
        pytest.param({"type": "limit", "records": "5"}, id="limit-string"),
        pytest.param({"type": "limit", "records": True}, id="limit-true"),
        pytest.param({"type": "limit", "record": 5}, id="misspelt-field"),
        pytest.param({"type": "redact", "pointer": "ssn"}, id="no-pointer"),
        pytest.param({"type": "redact", "pointer": "/a~2"}, id="bad-escape"),
        pytest.param({"type": "redact", "pointer": "/a", "with": {}}, id="with-object"),
        pytest.param({"type": "credential"}, id="no-provider"),
        pytest.param({"type": "credential", "provider": "bao", "ttl_s": 0}, id="no-life"),
        pytest.param({"type": "header", "set": {}}, id="no-header"),
        pytest.param({"type": "header", "set": {"x": "a\r\nb: c"}}, id="header-injection"),
        pytest.param({"type": "header", "set": {"x y": "a"}}, id="header-name"),
        pytest.param({"type": "header", "set": {"X-A": "1", "x-a": "2"}}, id="header-twice"),
        pytest.param({"type": "label"}, id="labels-nothing"),
        pytest.param({"type": "label", "sensitivity": "high"}, id="unknown-sensitivity"),
        pytest.param({"type": "narrow", "grant": []}, id="narrow-list"),
        pytest.param({"type": "quarantine", "scope": "world", "reason": "x"}, id="scope"),
        pytest.param({"type": "notify", "channel": "security", "severity": "loud"}, id="loud"),
    ],
)
@pytest.mark.parametrize("effect", ["allow", "deny"])
def test_an_obligation_that_cannot_be_read_denies(effect, obligation):
    decision = decided(
        answers({"effect": effect, "reasons": [{"code": "A"}], "obligations": [obligation]})
    )
    assert (decision.effect, decision.reason) == (Effect.DENY, Reason.OBLIGATION)
    assert [reason.code for reason in decision.reasons] == ["A"]
    assert decision.raw_obligations == (obligation,)
    assert decision.obligations == ()


@pytest.mark.parametrize(
    "obligations",
    [
        pytest.param([{"type": "credential", "provider": p} for p in "ab"], id="two-credentials"),
        pytest.param(
            [{"type": "redact", "pointer": "/a", "with": w} for w in ("x", "y")], id="two-ways"
        ),
        pytest.param([{"type": "limit", "records": n} for n in range(65)], id="too-many"),
    ],
)
def test_obligations_that_cannot_all_be_met_deny(obligations):
    assert outcome({"effect": "allow", "obligations": obligations}) == (
        Effect.DENY,
        Reason.OBLIGATION,
    )


def test_obligations_are_parsed_into_their_types():
    decision = decided(
        answers(
            {
                "effect": "hold",
                "obligations": [
                    {"type": "approval", "group": "leads", "quorum": 2, "four_eyes": True,
                     "expires_s": 60, "step_up": {"acr": "mfa", "max_age_s": 300}},
                    {"type": "limit", "response_bytes": 10},
                    {"type": "header", "set": {"X-Tenant": "acme"}},
                ],
            }
        )
    )  # fmt: skip
    assert decision.obligations == (
        ApprovalObligation(
            group="leads", quorum=2, four_eyes=True, expires_s=60,
            step_up={"acr": "mfa", "max_age_s": 300},
        ),
        LimitObligation(response_bytes=10),
        HeaderObligation(set=(("x-tenant", "acme"),)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(Undefined(meta=Meta()), Reason.POLICY_UNDEFINED, id="undefined"),
        pytest.param(fails(Reason.POLICY_ERROR), Reason.POLICY_ERROR, id="error"),
        pytest.param(fails(Reason.POLICY_TIMEOUT), Reason.POLICY_TIMEOUT, id="timeout"),
        pytest.param(fails(Reason.POLICY_UNAVAILABLE), Reason.POLICY_UNAVAILABLE, id="away"),
        pytest.param(fails(Reason.POLICY_STALE), Reason.POLICY_STALE, id="stale"),
        pytest.param(fails(Reason.TOO_LARGE), Reason.TOO_LARGE, id="too-large"),
        pytest.param(fails(Reason.OVERLOAD), Reason.OVERLOAD, id="no-slot"),
        pytest.param(None, Reason.POLICY_ERROR, id="an-engine-that-breaks-its-port"),
        pytest.param(True, Reason.POLICY_ERROR, id="an-engine-that-says-true"),
    ],
)
def test_a_fault_denies_with_its_reason(raw, reason):
    decision = decided(raw)
    assert (decision.effect, decision.reason) == (Effect.DENY, reason)
    assert decision.detail


@pytest.mark.parametrize(
    ("value", "meta", "reason"),
    [
        pytest.param({"effect": "allow", "revision": "rev-2"}, {}, Reason.POLICY_STALE, id="said"),
        pytest.param({"effect": "allow"}, {"revision": "rev-2"}, Reason.POLICY_STALE, id="meta"),
        pytest.param(True, {"revision": "rev-2"}, Reason.POLICY_STALE, id="bare-true"),
        pytest.param(
            {"effect": "allow", "revision": "label"}, {"revision": "rev-1"}, None,
            id="the-engine-knows-better",
        ),
    ],
)  # fmt: skip
def test_an_answer_counts_only_under_an_expected_revision(value, meta, reason):
    assert decided(answers(value, **meta)).reason == reason


def test_reasons_are_sorted_and_cut():
    reasons = [{"code": f"C{i:02}", "message": "m" * 600, "severity": "low"} for i in range(40)]
    reasons += [
        {"code": "Z", "severity": "critical"},
        {"code": "A", "severity": "critical", "mode": "shadow"},
    ]
    decision = decided(answers({"effect": "deny", "reasons": reasons}))
    assert len(decision.reasons) == 32
    assert [reason.code for reason in decision.reasons[:2]] == ["Z", "C00"]
    assert len(decision.reasons[1].message) == 512


def test_the_order_an_engine_gives_reasons_in_does_not_matter():
    reasons = [{"code": c, "pointer": p} for c in "BA" for p in ("/b", None, "/a")]
    one = decided(answers({"effect": "deny", "reasons": reasons})).reasons
    other = decided(answers({"effect": "deny", "reasons": reasons[::-1]})).reasons
    assert one == other


def test_keeps_the_engines_own_id_and_time():
    decision = decided(answers(True, decision_id="opa-7", eval_us=9))
    assert (decision.id, decision.eval_us, decision.engine) == ("opa-7", 9, "embedded")


OBJECTS = st.fixed_dictionaries(
    {"effect": st.sampled_from(["allow", "ALLOW", "deny", "hold", True, 1, None, ["allow"]])},
    optional={
        "reasons": st.sampled_from([[], [{"code": "A"}], {}, [1], None, [{"code": ""}]]),
        "obligations": st.sampled_from([[], [APPROVAL], [{"type": "limit"}], {}, [0]]),
        "revision": st.sampled_from(["", "rev-1", "rev-2", 1, None]),
        "ttl_s": st.sampled_from([0, 1, 3600, 3601, -1, True, 1.5, "1"]),
        "extra": st.just(1),
    },
)


@given(OBJECTS)
def test_only_a_plain_allow_allows(value):
    plain = (
        value["effect"] == "allow"
        and value.get("reasons", []) in ([], [{"code": "A"}])
        and value.get("obligations", []) == []
        and value.get("revision", "") in ("", "rev-1")
        and type(value.get("ttl_s", 0)) is int
        and 0 <= value.get("ttl_s", 0) <= 3600
        and "extra" not in value
    )
    assert (decided(answers(value)).effect is Effect.ALLOW) is plain


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_nothing_an_engine_says_raises(value):
    decision = decided(Defined(value=value, meta=Meta()))
    assert decision.effect in (Effect.DENY, Effect.ALLOW)
    if value is not True:
        assert decision.effect is Effect.DENY


def test_a_fault_keeps_the_engines_sentence_for_our_log_alone():
    decision = decided(Failed(code=Reason.POLICY_ERROR, detail="why"))
    assert (decision.detail, decision.reasons) == ("why", ())


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        pytest.param({"mode": "shadow", "would": "hold"}, (Effect.HOLD, False, False), id="shadow"),
        pytest.param(
            {"mode": "shadow", "would": "deny", "softened": True},
            (Effect.DENY, True, False),
            id="softened",
        ),
        pytest.param({"mode": "shadow", "would": "oblige"}, (None, False, False), id="obligation"),
        pytest.param({"mode": "shadow"}, (None, False, False), id="says-nothing"),
        pytest.param({"would": "deny", "softened": True}, (None, False, False), id="enforced"),
        pytest.param({"mode": "shadow", "would": ["deny"]}, (None, False, False), id="no-word"),
        pytest.param(
            {"mode": "shadow", "softened": 1, "would": "deny"},
            (Effect.DENY, False, False),
            id="one",
        ),
        pytest.param({"exception": "exc-1"}, (None, False, True), id="exception"),
        pytest.param({"exception": None}, (None, False, False), id="no-exception"),
    ],
)
def test_what_had_no_effect_says_what_it_would_have_been(reason, told):
    raw = {"effect": "allow", "reasons": [{"code": "EF-04", **reason}]}
    (entry,) = decided(answers(raw)).reasons
    assert (entry.would, entry.softened, entry.excepted) == told
