"""Who may call the control API, what is recorded of it, and what it never says."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import orjson
import pytest

from outrider.control.api import Call, ControlApi, Endpoint, answer
from outrider.control.http import Request, Response
from outrider.core.errors import (
    ConfigError,
    EnforcementError,
    MalformedError,
    OutriderError,
    SlowClientError,
    TooLargeError,
)
from outrider.core.secret import Secret
from outrider.core.vocabulary import Reason

OPERATOR = "o" * 43
OPA = "p" * 43
AGENT_UID = 4711


@dataclass(slots=True)
class Room:
    """An API with operations that remember their calls."""

    noted: list[tuple[str, str]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    counted: list[str] = field(default_factory=list)
    fault: Exception | None = None

    def note(self, operation: str, result: str) -> None:
        self.noted.append((operation, result))

    async def run(self, call: Call) -> Response:
        self.calls.append(call)
        if self.fault is not None:
            raise self.fault
        return answer({"done": True})

    def api(self) -> ControlApi:
        return ControlApi(
            endpoints=(
                Endpoint(method="GET", path="/v1/thing", run=self.run),
                Endpoint(method="POST", path="/v1/thing", run=self.run),
                Endpoint(method="GET", path="/v1/thing/{id}", run=self.run),
                Endpoint(method="PATCH", path="/v1/thing/{id}", run=self.run),
                Endpoint(method="POST", path="/v1/thing/{id}/end", run=self.run),
                Endpoint(method="GET", path="/v1/thing/all", run=self.run),
                Endpoint(method="GET", path="/v1/bundle", run=self.run, token="opa"),
            ),
            tokens={"operator": Secret(OPERATOR.encode()), "opa": Secret(OPA.encode())},
            refused_uids=frozenset({AGENT_UID}),
            note=self.note,
            counted=self.counted.append,
        )


def a_request(**changes: object) -> Request:
    fields: dict[str, object] = {
        "method": "GET",
        "path": "/v1/thing",
        "query": "",
        "headers": {"authorization": f"Bearer {OPERATOR}"},
        "body": b"",
        "uid": None,
    }
    return Request(**fields | changes)  # type: ignore[arg-type]


async def test_an_operator_with_the_token_is_served_and_recorded() -> None:
    room = Room()

    response = await room.api().handle(a_request(query="a=1&b=2", body=b'{"x":1}'))

    assert (response.status, orjson.loads(response.body)) == (200, {"done": True})
    (call,) = room.calls
    assert (call.query, call.body) == ({"a": "1", "b": "2"}, {"x": 1})
    assert room.noted == [("GET /v1/thing", "ok")]
    assert room.counted == ["ok"]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no-token"),
        pytest.param({"authorization": ""}, id="empty"),
        pytest.param({"authorization": f"Bearer {'x' * 43}"}, id="wrong-token"),
        pytest.param({"authorization": f"Bearer {OPERATOR[:-1]}"}, id="a-prefix-of-it"),
        pytest.param({"authorization": f"Bearer {OPERATOR}o"}, id="it-and-more"),
        pytest.param({"authorization": f"bearer {OPERATOR}"}, id="scheme-in-lower-case"),
        pytest.param({"authorization": f"Basic {OPERATOR}"}, id="another-scheme"),
        pytest.param({"authorization": OPERATOR}, id="no-scheme"),
        pytest.param({"authorization": f"Bearer {OPERATOR} "}, id="trailing-space"),
        pytest.param({"authorization": f"Bearer {OPERATOR}\n"}, id="trailing-line"),
        pytest.param({"authorization": f"Bearer {'é' * 43}"}, id="not-ascii"),
        pytest.param({"authorization": f"Bearer {'x' * 100_000}"}, id="very-long"),
        pytest.param({"x-authorization": f"Bearer {OPERATOR}"}, id="another-header"),
    ],
)
async def test_who_shows_no_right_token_is_refused_and_nothing_runs(
    headers: dict[str, str],
) -> None:
    room = Room()

    response = await room.api().handle(a_request(headers=headers))

    assert response.status == 401
    assert ("www-authenticate", "Bearer") in response.headers
    assert room.calls == []
    assert room.noted == [("GET /v1/thing", "unauthenticated")]
    assert room.counted == ["refused"]


@pytest.mark.parametrize(
    ("changes", "vouched"),
    [
        pytest.param({}, 1, id="right-token"),
        pytest.param({"path": "/v1/nothing"}, 1, id="right-token-wrong-path"),
        pytest.param({"headers": {}}, 0, id="no-token"),
        pytest.param({"headers": {"authorization": "Bearer " + "x" * 43}}, 0, id="wrong-token"),
    ],
)
async def test_only_who_shows_a_token_is_vouched_for(
    changes: dict[str, object], vouched: int
) -> None:
    calls: list[str] = []
    request = replace(a_request(**changes), vouch=lambda: calls.append("known"))
    await Room().api().handle(request)
    assert len(calls) == vouched


async def test_the_agents_own_uid_never_counts_even_with_the_token() -> None:
    room = Room()

    refused = await room.api().handle(a_request(uid=AGENT_UID))
    served = await room.api().handle(a_request(uid=AGENT_UID + 1))

    assert (refused.status, served.status) == (401, 200)
    assert len(room.calls) == 1


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        pytest.param("/v1/thing", OPA, 403, id="opa-does-not-administer"),
        pytest.param("/v1/bundle", OPERATOR, 403, id="operators-do-not-read-opas"),
        pytest.param("/v1/bundle", OPA, 200, id="opa-reads-its-own"),
    ],
)
async def test_a_token_opens_its_own_operations_alone(path: str, token: str, status: int) -> None:
    room = Room()

    response = await room.api().handle(
        a_request(path=path, headers={"authorization": f"Bearer {token}"})
    )

    assert response.status == status
    assert len(room.calls) == (status == 200)


@pytest.mark.parametrize(
    ("changes", "status", "result"),
    [
        pytest.param({"path": "/v1/none"}, 404, "unknown", id="unknown-path"),
        pytest.param({"path": "/v1/thing/"}, 404, "unknown", id="trailing-slash"),
        pytest.param({"path": "/V1/thing"}, 404, "unknown", id="upper-case"),
        pytest.param({"method": "DELETE"}, 405, "method", id="wrong-method"),
        pytest.param({"method": "HEAD"}, 405, "method", id="head"),
        pytest.param({"body": b"{"}, 400, "malformed", id="no-json"),
        pytest.param({"body": b'{"a":1,"a":2}'}, 400, "malformed", id="a-key-twice"),
        pytest.param({"body": b"[" * 5000}, 400, "malformed", id="deep"),
        pytest.param({"body": b"\xff"}, 400, "malformed", id="not-utf-8"),
    ],
)
async def test_what_is_refused_is_recorded_and_runs_nothing(
    changes: dict[str, object], status: int, result: str
) -> None:
    room = Room()

    response = await room.api().handle(a_request(**changes))

    assert response.status == status
    assert room.calls == []
    assert [noted for _, noted in room.noted] == [result]


async def test_without_the_token_an_unknown_path_looks_like_any_other() -> None:
    known = await Room().api().handle(a_request(headers={}))
    unknown = await Room().api().handle(a_request(path="/v1/none", headers={}))
    assert (known.status, known.body) == (unknown.status, unknown.body)


async def test_a_callers_words_never_reach_the_chain() -> None:
    room = Room()

    await room.api().handle(a_request(path="/v1/\x1b[31mevil", method="EVIL"))

    assert room.noted == [("other other", "unknown")]


async def test_a_wrong_method_is_told_the_right_ones() -> None:
    response = await Room().api().handle(a_request(method="PUT"))
    assert ("allow", "GET, POST") in response.headers


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        pytest.param(ConfigError("give {name}"), 400, "give {name}", id="the-callers-fault"),
        pytest.param(OutriderError("secret path"), 500, "internal fault", id="ours"),
        pytest.param(OSError("secret path"), 500, "internal fault", id="the-disks"),
    ],
)
async def test_a_fault_of_ours_says_nothing(
    fault: Exception, status: int, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    room = Room(fault=fault)

    response = await room.api().handle(a_request())

    assert (response.status, orjson.loads(response.body)) == (status, {"error": said})
    assert room.counted == ["refused" if status == 400 else "error"]
    assert b"secret" not in response.body


@pytest.mark.parametrize("make", [lambda: Secret(b"")], ids=["empty-token"])
async def test_an_empty_token_opens_nothing(make: Callable[[], Secret]) -> None:
    room = Room()
    api = ControlApi(
        endpoints=(Endpoint(method="GET", path="/v1/thing", run=room.run),),
        tokens={"operator": make()},
        refused_uids=frozenset(),
        note=room.note,
        counted=room.counted.append,
    )

    for value in ("Bearer ", "Bearer", ""):
        assert (await api.handle(a_request(headers={"authorization": value}))).status == 401
    assert room.calls == []


async def test_a_strangers_body_is_never_read() -> None:
    room = Room()
    read: list[str] = []

    async def source() -> bytes:
        read.append("body")
        return b"{}"

    for headers in ({}, {"authorization": "Bearer " + "x" * 40}):
        response = await room.api().handle(a_request(method="POST", headers=headers, source=source))
        assert response.status == 401
    assert read == []


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        pytest.param(SlowClientError("late", status=408), 408, id="slow"),
        pytest.param(TooLargeError(5, status=413), 413, id="large"),
        pytest.param(MalformedError("unreadable", status=400), 400, id="broken"),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused_and_recorded(
    fault: EnforcementError, status: int
) -> None:
    room = Room()

    async def source() -> bytes:
        raise fault

    response = await room.api().handle(a_request(method="POST", source=source))

    assert response.status == status
    assert room.calls == []
    assert room.noted == [("POST /v1/thing", "malformed")]


@pytest.mark.parametrize(
    ("method", "path", "name", "noted"),
    [
        pytest.param("GET", "/v1/thing/tsk_1", "tsk_1", "GET /v1/thing/{id}", id="one"),
        pytest.param("PATCH", "/v1/thing/a-B_9", "a-B_9", "PATCH /v1/thing/{id}", id="another"),
        pytest.param("POST", "/v1/thing/x/end", "x", "POST /v1/thing/{id}/end", id="below"),
        pytest.param("GET", "/v1/thing/all", "", "GET /v1/thing/all", id="exact-first"),
        pytest.param("GET", "/v1/thing/" + "x" * 128, "x" * 128, "GET /v1/thing/{id}", id="long"),
    ],
)
async def test_one_segment_of_a_path_may_name_what_is_meant_and_is_no_label(
    method: str, path: str, name: str, noted: str
) -> None:
    room = Room()
    response = await room.api().handle(a_request(method=method, path=path))
    assert response.status == 200
    assert room.calls[0].name == name
    assert room.noted == [(noted, "ok")]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/v1/thing/", id="empty"),
        pytest.param("/v1/thing/{id}", id="the-place-itself"),
        pytest.param("/v1/thing/{id}/end", id="the-place-below"),
        pytest.param("/v1/thing/a.b", id="dot"),
        pytest.param("/v1/thing/a%2Fb", id="escape"),
        pytest.param("/v1/thing/é", id="not-ascii"),
        pytest.param("/v1/thing/" + "x" * 129, id="too-long"),
        pytest.param("/v1/thing/a/b", id="two-segments"),
        pytest.param("/v1/thing/a/end/end", id="further-below"),
        pytest.param("/v1/thing/all/x", id="below-the-exact"),
    ],
)
async def test_what_is_no_name_leads_nowhere(path: str) -> None:
    room = Room()
    response = await room.api().handle(a_request(path=path))
    assert (response.status, room.calls) == (404, [])
    assert room.noted == [("GET other", "unknown")]


async def test_another_method_on_a_named_thing_is_told_which_there_are() -> None:
    room = Room()
    response = await room.api().handle(a_request(method="DELETE", path="/v1/thing/x"))
    assert (response.status, dict(response.headers)) == (405, {"allow": "GET, PATCH"})
    assert room.noted == [("DELETE /v1/thing/{id}", "method")]


async def test_a_refusal_without_a_status_has_that_of_its_reason() -> None:
    room = Room(fault=EnforcementError("the store is gone", reason=Reason.STORE_UNAVAILABLE))
    assert (await room.api().handle(a_request())).status == 503
