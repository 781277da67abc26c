"""PROTOCOLS §12, 1 to 20: the envelope, through the real listener.

Each row: the twin that is accepted, the nearest legal variant where there is one, the hostile
form; that one is refused in the right words, nothing leaves, one record and one count are made.
"""

from collections.abc import Sequence

import orjson
import pytest

from outrider.core.jsonvalue import Json, JsonObject, as_object
from tests.support.mcp_exchange import modern, request
from tests.support.sidecar import World, a_world
from tests.support.sidecar_mcp import (
    call,
    code_of,
    hold_answers,
    message_of,
    open_session,
    reason_of,
)

CALL = call()
RAW = orjson.dumps(CALL)


def _with(**members: Json) -> JsonObject:
    return {**CALL, **members}


def _without(member: str) -> JsonObject:
    return {key: value for key, value in CALL.items() if key != member}


def _params(**members: Json) -> JsonObject:
    return request("tools/call", {"name": "echo", "arguments": {"text": "hi"}, **members})


def _raw(old: bytes, new: bytes) -> bytes:
    assert old in RAW
    return RAW.replace(old, new)


DEEP = b"[" * 50 + b"]" * 50
NEAR: dict[str, Sequence[Json | bytes]] = {
    "1": [call(arguments={"text": "hi", "id": 1, "params": {"text": "a"}})],
    "2": [call(arguments={"text": "hi", "Method": 1, "PARAMS": 2})],
    "3": [_raw(b'"method"', b'"\\u006dethod"')],
    "5": [_with(id=0), _with(id="")],
    "6": [_with(id=2**53 - 1), _with(id="x" * 256), _with(id="1")],
    "10": [_params(_meta={"progressToken": 1})],
    "12": [_raw(b"hi", "é\U0001f600".encode()), _raw(b"hi", b"\\ud83d\\ude00")],
    "13": [call(arguments={"text": "hi", "n": 1.5e3, "m": 2**53 - 1})],
    "14": [_raw(b'"hi"', b'"hi","deep":' + DEEP)],
    "15": [RAW + b" \r\n\t"],
    "20": [call(arguments={"text": "hi", "__proto__": {"a": 1}, "constructor": 2})],
}
NAMES = {
    "nul": "ec\0ho",
    "crlf": "ec\r\nho",
    "del": "ec\x7fho",
    "space": "echo ",
    "slash": "a/echo",
    "dots": "..",
    "percent": "%65cho",
    "long": "e" * 129,
}
ROWS = [
    pytest.param(b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', 400, -32600, id="case-1-top"),
    pytest.param(_raw(b'"hi"', b'"a","text":"b"'), 400, -32600, id="case-1-deep"),
    pytest.param(_with(Method="ping"), 400, -32600, id="case-2-beside"),
    pytest.param(_raw(b'"params"', b'"PARAMS"'), 400, -32600, id="case-2-instead"),
    pytest.param(_raw(b'"params"', b'"param\xc5\xbf"'), 400, -32600, id="case-2-long-s"),
    pytest.param(
        _raw(b'"method"', b'"\\u006dethod":"ping","method"'), 400, -32600, id="case-3-twice"
    ),
    pytest.param([CALL], 400, -32600, id="case-4-batch"),
    pytest.param([], 400, -32600, id="case-4-empty"),
    pytest.param([[CALL]], 400, -32600, id="case-4-nested"),
    pytest.param(_with(id=None), 400, -32600, id="case-5-null"),
    pytest.param(_with(id=True), 400, -32600, id="case-5-bool"),
    pytest.param(_with(id=1.5), 400, -32600, id="case-5-float"),
    pytest.param(_with(id={}), 400, -32600, id="case-5-object"),
    pytest.param(_with(id=[1]), 400, -32600, id="case-5-array"),
    pytest.param(_raw(b'"id":1', b'"id":9007199254740992'), 400, -32600, id="case-6-large"),
    pytest.param(_with(id="é" * 129), 400, -32600, id="case-6-long"),
    pytest.param(_without("id"), 400, -32600, id="case-8-call-without-id"),
    pytest.param(_without("jsonrpc"), 400, -32600, id="case-9-missing"),
    pytest.param(_with(jsonrpc="1.0"), 400, -32600, id="case-9-one"),
    pytest.param(_with(jsonrpc=2.0), 400, -32600, id="case-9-number"),
    pytest.param(_without("params"), 200, -32602, id="case-10-no-params"),
    pytest.param(_with(params=["echo"]), 200, -32602, id="case-10-array"),
    pytest.param(_with(params="echo"), 200, -32602, id="case-10-string"),
    pytest.param(_params(arguments=["hi"]), 200, -32602, id="case-10-arguments-array"),
    pytest.param(_params(arguments=None), 200, -32602, id="case-10-arguments-null"),
    pytest.param(_params(arguments="hi"), 200, -32602, id="case-10-arguments-string"),
    pytest.param(_with(result={}), 400, -32600, id="case-11-result-and-method"),
    pytest.param(_with(extra=1), 400, -32600, id="case-11-extra"),
    pytest.param(RAW.decode().encode("utf-16"), 400, -32700, id="case-12-utf-16"),
    pytest.param(RAW.decode().encode("utf-32-le"), 400, -32700, id="case-12-utf-32"),
    pytest.param(b"\xef\xbb\xbf" + RAW, 400, -32700, id="case-12-bom"),
    pytest.param(_raw(b"hi", b"\xff"), 400, -32700, id="case-12-invalid"),
    pytest.param(_raw(b"hi", b"\xc0\xaf"), 400, -32700, id="case-12-overlong"),
    pytest.param(_raw(b"hi", b"\\ud800"), 400, -32700, id="case-12-lone-surrogate"),
    pytest.param(_raw(b'"hi"', b"NaN"), 400, -32700, id="case-13-nan"),
    pytest.param(_raw(b'"hi"', b"-Infinity"), 400, -32700, id="case-13-infinity"),
    pytest.param(_raw(b'"hi"', b"1e400"), 400, -32700, id="case-13-1e400"),
    pytest.param(_raw(b'"hi"', b"9" * 5000), 400, -32700, id="case-13-5000-digits"),
    pytest.param(_raw(b'"hi"', b"[" * 80 + b"]" * 80), 400, -32600, id="case-14-depth"),
    pytest.param(_raw(b'"hi"', b"[" * 400_000), 400, -32700, id="case-14-brackets"),
    pytest.param(_params(arguments={"text": [0] * 10_001}), 400, -32600, id="case-14-nodes"),
    pytest.param(RAW + RAW, 400, -32700, id="case-15-two"),
    pytest.param(RAW + b" x", 400, -32700, id="case-15-garbage"),
    *(pytest.param(_params(name=name), 200, None, id=f"case-16-{k}") for k, name in NAMES.items()),
    pytest.param(_params(name=7), 200, -32602, id="case-18-number"),
    pytest.param(_params(name=["echo"]), 200, -32602, id="case-18-array"),
]


@pytest.mark.parametrize(("hostile", "status", "code"), ROWS)
async def test_a_broken_envelope_is_refused_beside_one_that_is_whole(
    hostile: Json | bytes, status: int, code: int | None, request: pytest.FixtureRequest
) -> None:
    number = request.node.callspec.id.split("case-")[1].split("-")[0]
    async with a_world() as world:
        await _accepted(world, CALL, *NEAR.get(number, ()))
        async with world.refuses("malformed"):
            answer = await world.raw(world.legacy(hostile))
        assert (answer.status, code_of(answer)) == (status, code)
        assert reason_of(answer) == "malformed"


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(b'{"text":"hi","n":1326589012345678901}', id="number"),
        pytest.param(b'{"n":1326589012345678901,"text":"' + b"x" * 100_000 + b'"}', id="in-turns"),
        pytest.param(b'{"text":"' + b"x" * 9_000 + b'"}', id="arguments-too-large"),
    ],
)
async def test_arguments_that_are_not_taken_end_no_session(arguments: bytes) -> None:
    async with a_world() as world:
        session = await open_session(world)
        await world.raw(world.legacy(CALL, session=session))
        body = _raw(b'{"text":"hi"}', arguments)
        before = len(world.crm.seen)
        answer = await world.raw(world.legacy(body, session=session))
        assert (answer.status, message_of(answer)["id"]) == (200, 1)
        assert as_object(message_of(answer)["result"])["isError"] is True
        assert reason_of(answer) in {"malformed", "too_large"}
        assert len(world.crm.seen) == before


async def _accepted(world: World, *messages: Json | bytes) -> None:
    for message in messages:
        before = len(world.crm.methods)
        answer = await world.raw(world.legacy(message))
        assert (answer.status, "result" in message_of(answer)) == (200, True), answer.body
        assert len(world.crm.methods) == before + 1


@pytest.mark.parametrize(
    "id_", [1, "1", 0, -7, "", 2**53 - 1, "x" * 256], ids=lambda id_: f"case-6-echo-{id_!r:.9}"
)
async def test_an_id_comes_back_as_it_was(id_: Json) -> None:
    async with a_world() as world:
        accepted = message_of(await world.raw(world.legacy(call(id_=id_))))["id"]
        async with world.refuses("unrecognised"):
            refused = message_of(await world.raw(world.legacy(call("absent", id_=id_))))["id"]
        assert (accepted, refused) == (id_, id_)
        assert type(accepted) is type(refused) is type(id_)


async def test_case_7_an_id_under_way_is_refused_in_its_session_and_nowhere_else() -> None:
    async with a_world() as world:
        session = await open_session(world)
        await world.raw(world.legacy(CALL, session=session))
        hold = hold_answers(world)
        async with world.client() as slow:
            await slow.send(world.legacy(call(id_=7), session=session))
            await slow.answer(head_only=True)
            async with world.client() as twin:  # "7" is not 7
                await twin.send(world.legacy(call(id_="7"), session=session))
                assert (await twin.answer(head_only=True)).status == 200
            async with world.client() as two:  # on the modern wire each POST stands alone
                await two.send(world.modern(call(id_=7)))
                assert (await two.answer(head_only=True)).status == 200
            before = len(world.crm.seen)
            answer = await world.raw(world.legacy(call(id_=7), session=session))
            assert (answer.status, code_of(answer), message_of(answer)["id"]) == (400, -32600, 7)
            assert len(world.crm.seen) == before
            hold.set()
        await world.quiet()
        assert [r["decision"]["cause"] for r in world.decisions()] == ["id_reused"]
        world.crm.fake.answers.clear()
        assert (await world.raw(world.legacy(call(id_=7), session=session))).status == 200


async def test_case_8_a_notification_that_is_one_passes() -> None:
    async with a_world() as world:
        told = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        assert (await world.raw(world.legacy(told))).status == 202
        async with world.refuses("malformed") as records:
            answer = await world.raw(world.legacy(_without("id")))
        assert answer.status == 400
        assert [record["decision"]["cause"] for record in records] == ["no_id"]


@pytest.mark.parametrize(
    "name", ["Echo", "ECHO", "ech0", "echO"], ids=lambda name: f"case-17-{name}"
)
async def test_a_lookalike_of_an_allowed_tool_is_denied_and_recorded(name: str) -> None:
    async with a_world() as world:
        await _accepted(world, CALL)
        async with world.refuses("unrecognised") as records:
            answer = await world.raw(world.legacy(call(name)))
        assert (answer.status, reason_of(answer)) == (200, "unrecognised")
        assert [record["decision"]["cause"] for record in records] == ["lookalike"]


@pytest.mark.parametrize(
    "method",
    [
        pytest.param("tools/made_up", id="case-19-unknown"),
        pytest.param("vendor/thing", id="case-19-vendor"),
        pytest.param("sampling/createMessage", id="case-19-server-only"),
    ],
)
async def test_an_unknown_method_is_not_found_on_either_wire(method: str) -> None:
    async with a_world() as world:
        await _accepted(world, request("ping"), request("tools/list", {}))
        async with world.refuses("unrecognised", count=2):
            legacy = await world.raw(world.legacy(request(method, {})))
            today = await world.raw(world.modern(request(method, {})))
        assert (legacy.status, code_of(legacy)) == (200, -32601)
        assert (today.status, code_of(today)) == (404, -32601)


async def test_case_20_keys_of_javascript_reach_the_upstream_as_plain_data() -> None:
    async with a_world() as world:
        arguments: JsonObject = {"text": "hi", "__proto__": {"a": 1}, "constructor": 2}
        await _accepted(world, call(arguments=arguments))
        sent = orjson.loads(world.crm.seen[-1].body)
        assert sent["params"]["arguments"] == arguments


async def test_case_4_a_modern_batch_is_refused_alike() -> None:
    async with a_world() as world:
        assert (await world.raw(world.modern(CALL))).status == 200
        body = orjson.dumps([modern(CALL)])
        async with world.refuses("malformed"):
            answer = await world.raw(
                world.modern(CALL).rpartition(b"Content-Length")[0]
                + b"Content-Length: %d\r\n\r\n" % len(body)
                + body
            )
        assert (answer.status, code_of(answer)) == (400, -32600)
