"""A call that is taken apart can be put together again: nothing of it escapes what is judged."""

from typing import Any

from hypothesis import given, strategies as st

from outrider.core.action import Ask
from outrider.core.manifest import complete, parse_manifest
from outrider.core.unwrap import unwrapped
from outrider.core.vocabulary import ActionEffect, ProtocolName, ResourceType

WRAP: Any = {"name": "$.call.tool", "arguments": "$.call.args", "upstream": "$.server"}
MANIFEST = parse_manifest(
    {
        "crm": {
            "tools": {
                "flat": {"unwrap": {"name": "$.tool", "arguments": "$.args"}},
                "deep": {"unwrap": WRAP},
                "read": {"effect": "read"},
            }
        },
        "mail": {"tools": {"send": {"effect": "send"}}},
    }
)
leaves = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.sampled_from(["read", "x", ""]))
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["a", "tool", "args", "header.x"]), inner, max_size=3)
    ),
    max_leaves=4,
)
names = st.sampled_from(["read", "send", "flat", "deep", "nobody", "..", "a b", 1, None])
inner_arguments = st.one_of(
    st.dictionaries(st.sampled_from(["a", "b", "params._meta"]), values, max_size=2), values
)
more = st.dictionaries(st.sampled_from(["params._meta", "header.x", "extra"]), values, max_size=1)
flat = st.builds(
    lambda named, extra: named | extra,
    st.fixed_dictionaries({"tool": names}, optional={"args": inner_arguments}),
    more,
)
deep = st.builds(
    lambda call, server, extra: {"call": call, **server, **extra},
    st.fixed_dictionaries({"tool": names}, optional={"args": inner_arguments, "extra": leaves}),
    st.fixed_dictionaries(
        {}, optional={"server": st.sampled_from(["crm", "mail", "none", "/mail", None])}
    ),
    more,
)
calls = st.one_of(
    st.tuples(st.just("flat"), flat), st.tuples(st.just("deep"), deep), st.tuples(names, values)
)


def an_ask(name: str, arguments: Any) -> Ask:
    return Ask(
        protocol=ProtocolName.MCP,
        name="tools/call",
        resource_type=ResourceType.TOOL,
        upstream="crm",
        resource=name,
        arguments=arguments,
    )


@given(call=st.one_of(st.tuples(st.just("flat"), flat), st.tuples(st.just("deep"), deep)))
def test_what_is_taken_apart_says_all_that_was_said(call: tuple[str, dict[str, Any]]) -> None:
    name, arguments = call
    inner = unwrapped(an_ask(name, arguments), MANIFEST)
    if inner.via is None:
        action = complete(an_ask(name, arguments), MANIFEST)
        assert (action.effect, action.ask.arguments) == (ActionEffect.EXECUTE, arguments)
        return
    assert inner.arguments is not None
    beside = {key: value for key, value in arguments.items() if key in ("params._meta", "header.x")}
    own = {key: value for key, value in inner.arguments.items() if key not in beside}
    if inner.resource in ("flat", "deep"):
        return  # one more layer, which could not be taken off: the same law holds of it
    told = arguments if name == "flat" else arguments["call"]
    if told.get("tool") == inner.resource:  # one layer was taken off
        assert told.get("args", {}) == own
        assert set(told) <= {"tool", "args", *beside}
        assert set(arguments) <= {"call", "server", "tool", "args", *beside}


@given(call=calls)
def test_taking_apart_is_settled_at_once_and_never_raises(call: tuple[Any, Any]) -> None:
    name, arguments = call
    ask = an_ask(str(name), arguments if isinstance(arguments, dict) else None)
    once = unwrapped(ask, MANIFEST)
    assert unwrapped(once, MANIFEST) == once
    assert complete(once, MANIFEST) == complete(ask, MANIFEST)
