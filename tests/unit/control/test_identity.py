"""Identity is looked at by GET and waited for within bounds; a check is a POST read strictly."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import orjson
import pytest

from outrider.control.api import Call, Endpoint
from outrider.control.http import Response
from outrider.control.identity import WAIT_S, IdentityOperations
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json, JsonObject


@dataclass(slots=True)
class Room:
    waited: list[tuple[str, float]] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)

    async def _wait(self, mark: str, wait_s: float) -> JsonObject:
        self.waited.append((mark, wait_s))
        return {"state": "serving", "mark": "b"}

    async def _check(self, peer: str) -> JsonObject:
        self.checked.append(peer)
        return {"accepted": False, "reason": "expired"}

    def endpoints(self) -> dict[tuple[str, str], Endpoint]:
        operations = IdentityOperations(
            document=lambda: {"state": "waiting", "mark": "a"},
            wait_other=self._wait,
            check=self._check,
        )
        return {(one.method, one.path): one for one in operations.endpoints()}

    async def call(
        self, method: str, path: str, body: Json = None, query: dict[str, str] | None = None
    ) -> Response:
        run: Callable[[Call], Awaitable[Response]] = self.endpoints()[method, path].run
        return await run(Call(query=query or {}, body=body, headers={}))


def test_both_operations_are_an_operators_and_the_dial_is_no_get() -> None:
    endpoints = Room().endpoints()
    assert set(endpoints) == {("GET", "/v1/identity"), ("POST", "/v1/identity/check")}
    assert {one.token for one in endpoints.values()} == {"operator"}


async def test_without_a_question_the_document_is_given_at_once() -> None:
    room = Room()
    found = await room.call("GET", "/v1/identity")
    assert orjson.loads(found.body) == {"state": "waiting", "mark": "a"}
    assert room.waited == []


@pytest.mark.parametrize("wait", ["1", "30"])
async def test_a_change_is_waited_for_as_long_as_is_asked(wait: str) -> None:
    room = Room()
    found = await room.call("GET", "/v1/identity", query={"after": "a", "wait": wait})
    assert orjson.loads(found.body)["mark"] == "b"
    assert room.waited == [("a", float(wait))]


@pytest.mark.parametrize(
    "query",
    [
        pytest.param({"after": "a"}, id="no-wait"),
        pytest.param({"wait": "5"}, id="no-mark"),
        pytest.param({"after": "", "wait": "5"}, id="empty-mark"),
        pytest.param({"after": "a" * 65, "wait": "5"}, id="endless-mark"),
        pytest.param({"after": "a", "wait": "0"}, id="no-time"),
        pytest.param({"after": "a", "wait": str(WAIT_S + 1)}, id="too-long"),
        pytest.param({"after": "a", "wait": "-1"}, id="negative"),
        pytest.param({"after": "a", "wait": "1e1"}, id="float"),
        pytest.param({"after": "a", "wait": "\u0663"}, id="other-digits"),
        pytest.param({"after": "a", "wait": "9" * 5000}, id="endless-number"),
        pytest.param({"after": "a", "wait": "5", "x": "y"}, id="something-else"),
    ],
)
async def test_a_wait_that_is_not_plain_is_refused(query: dict[str, str]) -> None:
    room = Room()
    with pytest.raises(ConfigError, match="give \\?after"):
        await room.call("GET", "/v1/identity", query=query)
    assert room.waited == []


async def test_a_peer_is_checked_once_and_a_refusal_of_it_is_an_answer() -> None:
    room = Room()
    found = await room.call("POST", "/v1/identity/check", {"peer": "crm.test:8443"})
    assert (found.status, orjson.loads(found.body)["reason"]) == (200, "expired")
    assert room.checked == ["crm.test:8443"]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(None, id="none"),
        pytest.param({}, id="empty"),
        pytest.param({"peer": ""}, id="empty-peer"),
        pytest.param({"peer": None}, id="null"),
        pytest.param({"peer": ["crm.test:1"]}, id="list"),
        pytest.param({"peer": "a" * 301}, id="endless"),
        pytest.param({"peer": "crm.test:1", "expect": "x"}, id="something-else"),
        pytest.param("crm.test:1", id="text"),
        pytest.param([{"peer": "crm.test:1"}], id="list-of-peers"),
    ],
)
async def test_a_check_of_nobody_in_particular_dials_nothing(body: Json) -> None:
    room = Room()
    with pytest.raises(ConfigError, match="give \\{peer\\}"):
        await room.call("POST", "/v1/identity/check", body)
    assert room.checked == []
