"""GOVERNANCE §2: narrower is a partial order, meet its greatest lower bound."""

from fnmatch import fnmatchcase

from hypothesis import event, given, strategies as st

from outrider.core.grant import covers, meet, narrower, parse_grant
from outrider.core.vocabulary import ActionEffect, Sensitivity
from tests.support.builders import a_destination, an_action, an_ask

ID_GLOBS = ["*", "crm/*", "crm/get_*", "crm/get_x", "crm2/x", "*/x", "cr*/x", "crm/a/*", "crm/../x"]
IDS = ["crm/get_x", "crm/get_", "crm2/x", "crm/x", "crm/a/b", "crm/../x", "mail/x"]
HOST_GLOBS = ["*", "*.b.test", "*.a.b.test", "b.test", "a.b.test", "c.test"]
HOSTS = ["b.test", "a.b.test", "x.a.b.test", "c.test", "xb.test", None]
VALUES = [0, 1, 50, 100, 100.0, 101, "100", True, None, "ab", "abc", "/h/u", "/h/../u", [], [1, 2]]
TIMES = ["2026-11-23T09:00:00Z", "2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z"]

CONSTRAINTS = st.fixed_dictionaries(
    {},
    optional={
        "max": st.sampled_from([1, 100, 100.0]),
        "min": st.sampled_from([0, 50]),
        "max_length": st.sampled_from([2, 3]),
        "max_items": st.sampled_from([0, 1]),
        "in": st.lists(st.sampled_from(VALUES), max_size=4),
        "equals": st.sampled_from([1, "ab"]),
        "prefix": st.sampled_from(["a", "ab", "/h"]),
        "glob": st.sampled_from(["*", "/h/*", "/h/u", ["ab", "abc"]]),
    },
) | st.sampled_from([{}, {"required": True}, {"forbidden": True}])
RULES = st.dictionaries(
    st.sampled_from(["/to", "/amount", "/bcc", "/o", "/o/p", "/o/q"]), CONSTRAINTS, max_size=4
)
COUNTS = st.sampled_from([0, 1, 100, None])
DELEGATES = ["spiffe://acme.test/*", "spiffe://acme.test/ns/*", "spiffe://acme.test/ns/a"]
BOUNDS: dict[str, st.SearchStrategy[object]] = {
    **dict.fromkeys(("calls", "tokens", "records", "bytes"), COUNTS),
    "spend": st.sampled_from([0, "0.5", 1.25, {"limit": "5", "unit": "usd"}])
    | st.builds(
        lambda limit, unit: {"limit": limit, "unit": unit},
        st.sampled_from([0, "4.000001"]),
        st.sampled_from(["usd", "eur"]),
    ),
    "period_s": st.sampled_from([60, 3600]),
    "delegation": st.builds(
        lambda depth, to: {"depth": depth, "to": to},
        st.sampled_from([0, 1, 2]),
        st.lists(st.sampled_from(DELEGATES), max_size=2),
    ),
}
GRANTS = st.fixed_dictionaries(
    {
        "tools": st.lists(st.sampled_from(ID_GLOBS), min_size=1, max_size=3),
        "effects": st.lists(st.sampled_from(["read", "send", "pay"]), min_size=1, unique=True),
        "destinations": st.lists(st.sampled_from(HOST_GLOBS), min_size=1, max_size=3),
        "sensitivity": st.sampled_from([str(one) for one in Sensitivity]),
    },
    optional={
        "not_before": st.sampled_from(TIMES[:2]),
        "expires_at": st.sampled_from(TIMES[1:]),
        **BOUNDS,
        "arguments": st.dictionaries(
            st.sampled_from(["crm/get_x", "crm2/x"]), RULES | st.lists(RULES, max_size=2)
        ),
    },
).map(lambda document: parse_grant(document, "grant"))
ARGUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "to": st.sampled_from(VALUES),
        "amount": st.sampled_from(VALUES),
        "bcc": st.sampled_from(VALUES),
        "o": st.dictionaries(st.sampled_from(["p", "q", "r"]), st.sampled_from(VALUES), max_size=2),
    },
)
ACTIONS = st.builds(
    lambda name, effect, sensitivity, hosts, arguments: an_action(
        ask=an_ask(
            upstream=name.partition("/")[0], resource=name.partition("/")[2], arguments=arguments
        ),
        effect=effect,
        sensitivity=sensitivity,
        destinations=tuple(map(a_destination, hosts)),
    ),
    st.sampled_from(IDS),
    st.sampled_from([ActionEffect.READ, ActionEffect.SEND, ActionEffect.PAY]),
    st.sampled_from(list(Sensitivity)),
    st.lists(st.sampled_from(HOSTS), max_size=2),
    ARGUMENTS,
)
NOW_S = st.sampled_from([1795424400.0 - 1, 1795424400.0, 1795428000.0, 1795431600.0])


def covered(grant, action, now_s) -> bool:
    return covers(grant, action, now_unix_s=now_s) is None


def brute_forced(grant, action, now_s) -> bool:
    """The law written down again as plainly as can be, from the document alone."""
    document = grant.document
    if any(not brute_id(document["tools"], action.resource_id) for _ in "x"):
        return False
    if action.effect.value not in document["effects"]:
        return False
    order = ["public", "internal", "confidential", "secret"]
    if order.index(action.sensitivity.value) > order.index(document["sensitivity"]):
        return False
    for destination in action.destinations:
        if destination.host is None:
            return False
        if not any(fnmatchcase(destination.host, glob) for glob in document["destinations"]):
            return False
    starts = {1795424400.0: TIMES[0], 1795428000.0: TIMES[1], 1795431600.0: TIMES[2]}
    seconds = {text: instant for instant, text in starts.items()}
    if "not_before" in document and now_s < seconds[document["not_before"]]:
        return False
    if "expires_at" in document and now_s >= seconds[document["expires_at"]]:
        return False
    rules = document.get("arguments", {}).get(action.resource_id, [])
    return all(
        brute_rule(rule, action.ask.arguments)
        for rule in (rules if isinstance(rules, list) else [rules])
    )


def brute_id(globs, name) -> bool:
    for glob in globs:
        if glob == "*":
            return True
        pattern, parts = glob.split("/"), name.split("/")
        if pattern[-1] == "*" and len(parts) >= len(pattern):
            pattern = pattern[:-1] + ["*"] * (len(parts) - len(pattern) + 1)
        if len(pattern) == len(parts) and all(
            part == one
            or (one.endswith("*") and part not in {".", ".."} and fnmatchcase(part, one))
            for one, part in zip(pattern, parts, strict=True)
        ):
            return True
    return False


def brute_rule(rule, arguments) -> bool:
    flat = {}
    for name, value in arguments.items():
        flat["/" + name] = value
        if isinstance(value, dict):
            flat |= {f"/{name}/{inner}": leaf for inner, leaf in value.items()}
    for pointer, constraint in rule.items():
        if pointer not in flat:
            if constraint.get("required"):
                return False
        elif not brute_value(constraint, flat[pointer]):
            return False
    leaves = [path for path, value in flat.items() if not (isinstance(value, dict) and value)]
    return all(leaf in rule or leaf.rpartition("/")[0] in rule for leaf in leaves)


def same(one, other) -> bool:
    return one == other and isinstance(one, bool) is isinstance(other, bool)


def brute_value(constraint, value) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    text = isinstance(value, str)
    checks = {
        "max": lambda bound: number and value <= bound,
        "min": lambda bound: number and value >= bound,
        "max_length": lambda bound: text and len(value) <= bound,
        "max_items": lambda bound: isinstance(value, list) and len(value) <= bound,
        "in": lambda values: any(same(value, one) for one in values),
        "equals": lambda one: same(value, one),
        "prefix": lambda start: text and value.startswith(start),
        "glob": lambda globs: (
            text and brute_id(globs if isinstance(globs, list) else [globs], value)
        ),
        "forbidden": lambda flag: not flag,
        "required": lambda flag: True,
    }
    return all(checks[key](bound) for key, bound in constraint.items())


@given(GRANTS, ACTIONS, NOW_S)
def test_covering_is_what_a_brute_force_evaluator_says(grant, action, now_s):
    found = covered(grant, action, now_s)
    event(f"covered: {found}")
    assert found == brute_forced(grant, action, now_s)


# Small words, so that a good part of the actions lies inside both grants.
EASY = {"effects": ["read", "send", "pay"], "destinations": ["*"], "sensitivity": "secret"}
EASY_GRANTS = st.builds(
    lambda tools, rules: parse_grant(
        {"tools": tools, **EASY, "arguments": {"crm/get_x": rules}}, "grant"
    ),
    st.sampled_from([["*"], ["crm/*"], ["crm/get_x"], ["crm/get_*", "crm2/x"]]),
    RULES | st.lists(RULES, max_size=2),
)
EASY_ACTIONS = ARGUMENTS.map(
    lambda arguments: an_action(
        ask=an_ask(resource="get_x", arguments=arguments), destinations=(a_destination(),)
    )
)


@given(GRANTS, GRANTS, ACTIONS, NOW_S)
def test_meet_covers_what_both_cover(left, right, action, now_s):
    both = covered(left, action, now_s) and covered(right, action, now_s)
    assert covered(meet(left, right), action, now_s) == both


@given(EASY_GRANTS, EASY_GRANTS, EASY_ACTIONS)
def test_meet_covers_the_arguments_that_both_cover(left, right, action):
    both = covered(left, action, 0) and covered(right, action, 0)
    event(f"both: {both}")
    assert covered(meet(left, right), action, 0) == both
    assert brute_forced(meet(left, right), action, 0) == both


@given(GRANTS | EASY_GRANTS, GRANTS | EASY_GRANTS, GRANTS | EASY_GRANTS)
def test_meet_is_the_greatest_lower_bound(one, other, third):
    both = meet(one, other)
    assert narrower(both, one)
    assert narrower(both, other)
    lower = meet(third, both)
    assert narrower(lower, one)
    assert narrower(lower, both)
    if narrower(third, one) and narrower(third, other):
        event("below both")
        assert narrower(third, both)


@given(GRANTS | EASY_GRANTS, GRANTS | EASY_GRANTS, GRANTS | EASY_GRANTS)
def test_narrower_is_reflexive_and_transitive(one, other, third):
    assert narrower(one, one)
    second, lowest = meet(one, other), meet(meet(one, other), third)
    assert narrower(lowest, one)
    if narrower(one, other) and narrower(other, third):
        assert narrower(one, third)
    if narrower(one, second):
        event("equal")
        assert narrower(one, other)


@given(EASY_GRANTS, EASY_GRANTS, EASY_ACTIONS, st.booleans())
def test_what_is_narrower_covers_no_more(one, other, action, met):
    inner = meet(one, other) if met else one
    if narrower(inner, other):
        event(f"covered: {covered(inner, action, 0)}")
        assert not covered(inner, action, 0) or covered(other, action, 0)


@given(GRANTS | EASY_GRANTS, GRANTS)
def test_meet_reads_again_as_what_it_is(one, other):
    both = meet(one, other)
    assert parse_grant(both.document, "again") == both
