"""One suite for every engine: each row of POLICY §1 that a real engine can be brought to."""

import asyncio

import orjson
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from outrider.core.clock import SystemClock
from outrider.core.errors import ConfigError
from outrider.core.ports import Failed, Raw
from outrider.core.vocabulary import Effect, Reason
from outrider.policy.result import Source, decide
from tests.support.policy import ALLOW_ALL, ENTRYPOINT, a_release

CLOCK = SystemClock()
PATIENCE_S = 10.0


async def ask(snapshot, query=b"{}", patience_s=PATIENCE_S) -> Raw:
    return await snapshot.evaluate(ENTRYPOINT, query, CLOCK.monotonic_s() + patience_s, None)


async def judged(snapshot, query=None):
    raw = await ask(snapshot, orjson.dumps(query or {}))
    source = Source(engine="any", revision=snapshot.revision, expected=snapshot.expected)
    return decide(raw, id="dec-1", source=source)


async def outcome(engine, module, query=None, data=None):
    snapshot = await engine.activate(a_release(f"package outrider\n\n{module}\n", data))
    decision = await judged(snapshot, query)
    return decision.effect, decision.reason


HELD = (
    'decision := {"effect": "hold", "obligations": {{"type": "approval", "group": "leads"}},'
    ' "reasons": {{"code": "A"}, {"code": "B"}}}'
)
ROWS = [
    pytest.param('decision := {"effect": "allow"}', Effect.ALLOW, None, id="allow"),
    pytest.param("decision := true", Effect.ALLOW, None, id="true"),
    pytest.param('decision := {"effect": "deny"}', Effect.DENY, Reason.POLICY, id="deny"),
    pytest.param("decision := false", Effect.DENY, Reason.POLICY, id="false"),
    pytest.param(HELD, Effect.HOLD, Reason.HELD, id="hold-with-sets"),
    pytest.param(
        'decision := {"effect": "hold"}', Effect.DENY, Reason.OBLIGATION, id="hold-by-nobody"
    ),
    pytest.param(
        "decision := true if input.nobody", Effect.DENY, Reason.POLICY_UNDEFINED,
        id="P01-undefined",
    ),
    pytest.param("decision := null", Effect.DENY, Reason.POLICY_MALFORMED, id="null"),
    pytest.param("decision := 1", Effect.DENY, Reason.POLICY_MALFORMED, id="number"),
    pytest.param('decision := "allow"', Effect.DENY, Reason.POLICY_MALFORMED, id="string"),
    pytest.param(
        'decision := "<undefined>"', Effect.DENY, None, id="a-string-that-looks-undefined"
    ),
    pytest.param("decision := []", Effect.DENY, Reason.POLICY_MALFORMED, id="array"),
    pytest.param("decision contains 1", Effect.DENY, Reason.POLICY_MALFORMED, id="set"),
    pytest.param(
        'decision := {"effect": "Allow"}', Effect.DENY, Reason.POLICY_MALFORMED, id="case"
    ),
    pytest.param(
        'decision := {"effect": "allow", "obligation": []}',
        Effect.DENY, Reason.POLICY_MALFORMED, id="misspelt-key",
    ),
    pytest.param(
        'decision := {"effect": "allow", "obligations": [{"type": "sing"}]}',
        Effect.DENY, Reason.OBLIGATION, id="unknown-obligation",
    ),
    pytest.param(
        "decision := true\n\ndecision := false", Effect.DENY, Reason.POLICY_ERROR, id="conflict"
    ),
    pytest.param(
        'decision := lower(input.n) == "x"', Effect.DENY, Reason.POLICY_ERROR, id="failing-built-in"
    ),
    pytest.param(
        "decision := 1 / input.zero > 0", Effect.DENY, Reason.POLICY_ERROR, id="division-by-zero"
    ),
]  # fmt: skip


@pytest.mark.control("GV-04")
@pytest.mark.parametrize(("module", "effect", "reason"), ROWS)
async def test_a_row_of_the_table(engine, module, effect, reason):
    found = await outcome(engine, module, {"n": 1, "zero": 0})
    assert found[0] is effect
    if reason is not None or effect is Effect.ALLOW:
        assert found[1] is reason


DENIES_BY = """
default decision := {"effect": "deny"}

decision := {"effect": "allow"} if count(deny) == 0

deny contains "x" if %s
"""


@pytest.mark.control("GV-04")
@pytest.mark.parametrize(
    "body",
    [
        pytest.param('lower(input.n) == "x"', id="called"),
        pytest.param("not bad", id="negated"),
        pytest.param('{ some v in [input.n]; startswith(v, "a") }', id="iterated"),
    ],
)
async def test_P04_a_built_in_that_fails_inside_a_deny_rule_denies(engine, body):
    module = DENIES_BY % body + '\nbad if lower(input.n) == "x"\n'
    assert await outcome(engine, module, {"n": 1}) == (Effect.DENY, Reason.POLICY_ERROR)


async def test_a_deny_rule_that_does_not_fire_lets_the_allow_stand(engine):
    module = DENIES_BY % 'lower(input.n) == "x"'
    assert await outcome(engine, module, {"n": "y"}) == (Effect.ALLOW, None)
    assert await outcome(engine, module, {"n": "X"}) == (Effect.DENY, Reason.POLICY)


async def test_a_release_without_the_package_is_not_activated(engine):
    with pytest.raises(ConfigError):
        await engine.activate(a_release({"outrider/a/x.rego": "package outrider.a\n\nx := 1\n"}))


async def test_P02_an_empty_release_is_not_activated(engine):
    with pytest.raises(ConfigError):
        await engine.activate(a_release({}))
    with pytest.raises(ConfigError):
        engine.snapshot()


async def test_a_release_that_is_refused_leaves_the_last_one_answering(engine):
    await engine.activate(a_release(ALLOW_ALL, revision="good"))
    with pytest.raises(ConfigError):
        await engine.activate(a_release("package outrider\n\ndecision :=\n", revision="bad"))
    snapshot = engine.snapshot()
    assert snapshot.revision == "good"
    assert (await judged(snapshot)).effect is Effect.ALLOW


async def test_policy_reads_its_data_and_its_own_revision(engine):
    module = (
        'decision := {"effect": data.outrider.tiers.low, "revision": data.outrider.build.revision}'
    )
    assert await outcome(engine, module, data={"tiers": {"low": "allow"}}) == (Effect.ALLOW, None)


async def test_an_answer_over_its_limit_is_malformed(engine):
    module = (
        'decision := {"effect": "allow", "reasons": [{"code": "A", "message": m} |'
        " some m in numbers.range(1, 100000)]}"
    )
    assert await outcome(engine, module) == (Effect.DENY, Reason.POLICY_MALFORMED)


async def test_an_answer_after_the_deadline_is_none(engine):
    snapshot = await engine.activate(a_release(ALLOW_ALL))
    raw = await ask(snapshot, patience_s=-0.001)
    assert isinstance(raw, Failed)
    assert raw.code is Reason.POLICY_TIMEOUT


async def test_a_query_that_is_no_json_is_a_fault_and_harms_nobody_after_it(engine):
    snapshot = await engine.activate(a_release(ALLOW_ALL))
    raw = await ask(snapshot, b'{"a": ')
    assert isinstance(raw, Failed)
    assert (await judged(snapshot)).effect is Effect.ALLOW


async def test_an_unknown_entry_point_is_never_an_allow(engine):
    snapshot = await engine.activate(a_release(ALLOW_ALL))
    raw = await snapshot.evaluate(
        "data.outrider.nothing", b"{}", CLOCK.monotonic_s() + PATIENCE_S, None
    )
    source = Source(engine="any", revision=snapshot.revision, expected=snapshot.expected)
    assert decide(raw, id="x", source=source).effect is Effect.DENY


async def test_one_answer_leaves_nothing_behind_for_the_next(engine):
    module = 'decision := {"effect": "allow"} if input.ok == true'
    snapshot = await engine.activate(a_release(f"package outrider\n\n{module}\n"))
    for _ in range(3):
        assert (await judged(snapshot, {"ok": True})).effect is Effect.ALLOW
        assert (await judged(snapshot, {"ok": False})).reason is Reason.POLICY_UNDEFINED
        assert (await judged(snapshot, {})).reason is Reason.POLICY_UNDEFINED


NAMED = (
    'package outrider\n\ndecision := {"effect": "%s", "revision": data.outrider.build.revision}\n'
)


async def test_a_swap_under_load_gives_each_decision_one_revision(engine):
    await engine.activate(a_release(NAMED % "allow", revision="old"))
    seen = set()
    stop = asyncio.Event()

    async def call():
        while not stop.is_set():
            snapshot = engine.snapshot()
            decision = await judged(snapshot)
            assert decision.reason in (None, Reason.POLICY), decision
            seen.add((decision.revision, decision.effect))
            await asyncio.sleep(0)

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(call())
        for _ in range(5):
            await asyncio.sleep(0.01)
            await engine.activate(a_release(NAMED % "deny", revision="new"))
            await asyncio.sleep(0.01)
            await engine.activate(a_release(NAMED % "allow", revision="old"))
        stop.set()
    assert seen <= {("old", Effect.ALLOW), ("new", Effect.DENY)}
    assert ("old", Effect.ALLOW) in seen


async def test_a_snapshot_goes_on_under_its_own_revision_or_says_it_cannot(engine):
    old = await engine.activate(a_release(NAMED % "allow", revision="old"))
    await engine.activate(a_release(NAMED % "deny", revision="new"))
    decision = await judged(old)
    assert (decision.effect, decision.revision) in (
        (Effect.ALLOW, "old"),
        (Effect.DENY, "new"),
        (Effect.DENY, "old"),
    )
    assert (await judged(engine.snapshot())).effect is Effect.DENY


ECHO = """package outrider

decision := {"effect": "deny", "reasons": [{"code": "E", "message": input.name}]} if {
	is_string(input.name)
	object.get(input, ["arguments", "x"], null) == input.name
}
"""
HOSTILE = [
    'x"} | allow {', "data.outrider.decision", "\u202e\u0000\u2028", "${jndi:ldap://x}",
    "<undefined>", "../../v1/policies", "a" * 500, "'; DROP TABLE", "🦀" * 100, "\\u0000", "",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=[f"hostile-{place}" for place in range(len(HOSTILE))])
async def test_attacker_strings_are_values_and_nothing_else(engine, text):
    snapshot = await engine.activate(a_release(ECHO))
    decision = await judged(snapshot, {"name": text, "arguments": {"x": text, text: 1}})
    assert [reason.message for reason in decision.reasons] == [text[:512]]


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), max_size=50))
async def test_any_text_is_a_value_and_nothing_else(engine, texts):
    snapshot = await engine.activate(a_release(ECHO))
    for text in texts:
        decision = await judged(snapshot, {"name": text, "arguments": {"x": text}})
        assert [reason.message for reason in decision.reasons] == [text]
