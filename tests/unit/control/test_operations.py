"""Each operation reads its own input strictly and changes what it says, nothing else."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import orjson
import pytest

from outrider.control.api import Call, Endpoint
from outrider.control.http import Response
from outrider.control.operations import Operations, PinKey, Reviewed
from outrider.core.errors import ConfigError, StoreUnavailableError
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.ports import Note, Persist, Step
from outrider.stores.memory import MemoryStore


@dataclass(slots=True)
class RecordedAcceptance:
    keys: list[PinKey]
    accepted: list[PinKey]

    @property
    def steps(self) -> list[Step]:
        stored = [Persist(table="pins", key=key[2], value={"state": "pinned"}) for key in self.keys]
        return [*stored, Note(event="definition_accepted", facts={})]

    def done(self) -> None:
        self.accepted += self.keys


@dataclass(slots=True)
class RecordingPins:
    """Two definitions, the latest digests of which are `now`; the second is accepted already."""

    accepted: list[PinKey] = field(default_factory=list)
    now: str = "sha256:a"

    def documents(self) -> list[JsonObject]:
        return [{"upstream": "crm", "name": "send", "state": "changed"}]

    def differences(self, upstream: str, name: str) -> JsonObject:
        if (upstream, name) != ("crm", "send"):
            raise KeyError(name)
        changes: list[Json] = [{"member": "description", "before": "a", "after": "b"}]
        return {"changes": changes, "digest": self.now}

    def to_accept(self, reviewed: Reviewed) -> RecordedAcceptance:
        if set(reviewed.values()) != {self.now}:
            raise ValueError("crm says something else of send (tools) by now")
        return RecordedAcceptance([key for key in reviewed if key[2] == "send"], self.accepted)


class FullStore(MemoryStore):
    async def put(self, table: str, key: str, value: JsonObject | None) -> None:
        raise StoreUnavailableError("full")


@dataclass(slots=True)
class Room:
    pins: RecordingPins = field(default_factory=RecordingPins)
    store: MemoryStore = field(default_factory=MemoryStore)
    levels: list[str] = field(default_factory=list)
    told: list[JsonObject] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    changed: bool = True

    async def _reload(self) -> bool:
        return self.changed

    async def _roll_back(self, sequence: int) -> bool:
        self.asked.append(str(sequence))
        return self.changed

    async def _explain(self, decision_id: str) -> JsonObject:
        self.asked.append(decision_id)
        return {"by": "policy"}

    def endpoints(self) -> dict[tuple[str, str], Endpoint]:
        operations = Operations(
            status=lambda: {"ready": True},
            reload=self._reload,
            roll_back=self._roll_back,
            pins=self.pins,
            store=self.store,
            explain=self._explain,
            set_level=self.levels.append,
            accepted=self.told.append,
        )
        return {(one.method, one.path): one for one in operations.endpoints()}

    async def call(
        self, method: str, path: str, body: Json = None, query: dict[str, str] | None = None
    ) -> Response:
        run: Callable[[Call], Awaitable[Response]] = self.endpoints()[method, path].run
        return await run(Call(query=query or {}, body=body, headers={}))


def said(response: Response) -> JsonObject:
    value = orjson.loads(response.body)
    assert isinstance(value, dict)
    return value


def test_nothing_changes_by_get() -> None:
    changing = {
        "/v1/policy/reload",
        "/v1/policy/rollback",
        "/v1/pins/accept",
        "/v1/log-level",
        "/v1/explain",
    }
    for method, path in Room().endpoints():
        assert (method == "POST") is (path in changing)


def test_every_operation_is_an_operators() -> None:
    assert {one.token for one in Room().endpoints().values()} == {"operator"}


@pytest.mark.parametrize("path", ["/v1/status", "/v1/policy"])
async def test_the_status_is_told(path: str) -> None:
    assert said(await Room().call("GET", path)) == {"ready": True}


@pytest.mark.parametrize("changed", [True, False])
async def test_a_reload_says_whether_anything_changed(changed: bool) -> None:
    assert said(await Room(changed=changed).call("POST", "/v1/policy/reload")) == {
        "changed": changed
    }


async def test_pins_are_listed_and_compared() -> None:
    room = Room()
    listed = said(await room.call("GET", "/v1/pins"))
    compared = await room.call("GET", "/v1/pins/diff", query={"upstream": "crm", "name": "send"})
    assert listed["pins"] == room.pins.documents()
    assert said(compared) == {
        "upstream": "crm",
        "name": "send",
        **room.pins.differences("crm", "send"),
    }


async def test_a_pin_that_is_not_there_is_not_found() -> None:
    response = await Room().call("GET", "/v1/pins/diff", query={"upstream": "crm", "name": "x"})
    assert response.status == 404


@pytest.mark.parametrize("query", [{}, {"upstream": "crm"}, {"name": "send"}])
async def test_a_comparison_names_both(query: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="upstream"):
        await Room().call("GET", "/v1/pins/diff", query=query)


def _pin(name: str = "send", digest: str = "sha256:a") -> JsonObject:
    return {"kind": "tools", "name": name, "digest": digest}


def _acceptance(*pins: JsonObject) -> JsonObject:
    return {"upstream": "crm", "pins": [*(pins or (_pin(),))]}


async def test_an_acceptance_is_stored_and_told() -> None:
    room = Room()
    response = await room.call("POST", "/v1/pins/accept", _acceptance())
    assert said(response) == {"accepted": 1}
    assert await room.store.items("pins") == {"send": {"state": "pinned"}}
    assert room.pins.accepted == [("crm", "tools", "send")]
    assert room.told == [{"upstream": "crm", "pins": [_pin()]}]


async def test_what_is_accepted_already_is_not_accepted_again() -> None:
    room = Room()
    response = await room.call("POST", "/v1/pins/accept", _acceptance(_pin(), _pin("other")))
    assert said(response) == {"accepted": 1}
    assert room.told == [{"upstream": "crm", "pins": [_pin()]}]


async def test_what_changed_since_it_was_reviewed_is_not_accepted() -> None:
    room = Room()
    response = await room.call("POST", "/v1/pins/accept", _acceptance(_pin(digest="sha256:old")))
    assert response.status == 409
    assert "crm says something else of send" in str(said(response)["error"])
    assert (room.pins.accepted, room.told, await room.store.items("pins")) == ([], [], {})


async def test_what_cannot_be_stored_is_not_accepted() -> None:
    room = Room(store=FullStore())
    with pytest.raises(StoreUnavailableError):
        await room.call("POST", "/v1/pins/accept", _acceptance())
    assert (room.pins.accepted, room.told) == ([], [])


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(None, id="none"),
        pytest.param([], id="list"),
        pytest.param({}, id="empty"),
        pytest.param({"upstream": "crm"}, id="no-pins"),
        pytest.param({"upstream": "crm", "name": None}, id="all-unseen"),
        pytest.param({"upstream": "crm", "pins": []}, id="empty-pins"),
        pytest.param({"upstream": 1, "pins": [_pin()]}, id="upstream"),
        pytest.param({"pins": [_pin()]}, id="no-upstream"),
        pytest.param(_acceptance({"kind": "tools", "name": "send"}), id="no-digest"),
        pytest.param(_acceptance({**_pin(), "digest": None}), id="digest"),
        pytest.param(_acceptance(_pin(), _pin()), id="twice"),
        pytest.param(_acceptance(*(_pin(str(number)) for number in range(257))), id="many"),
    ],
)
async def test_an_acceptance_that_cannot_be_read_accepts_nothing(body: Json) -> None:
    room = Room()
    with pytest.raises(ConfigError, match="digest that was reviewed"):
        await room.call("POST", "/v1/pins/accept", body)
    assert room.pins.accepted == []
    assert room.told == []


async def test_a_decision_is_explained_by_its_id() -> None:
    room = Room()
    response = await room.call("POST", "/v1/explain", {"decision_id": "0193"})
    assert said(response) == {"by": "policy"}
    assert room.asked == ["0193"]


@pytest.mark.parametrize(
    "body",
    [None, {}, {"decision_id": ""}, {"decision_id": 7}, {"decision_id": "x" * 65}, ["x"]],
    ids=str,
)
async def test_without_an_id_nothing_is_explained(body: Json) -> None:
    room = Room()
    with pytest.raises(ConfigError):
        await room.call("POST", "/v1/explain", body)
    assert room.asked == []


async def test_the_log_level_is_changed() -> None:
    room = Room()
    assert said(await room.call("POST", "/v1/log-level", {"level": "DEBUG"})) == {"level": "DEBUG"}
    assert room.levels == ["DEBUG"]


@pytest.mark.parametrize("level", [None, "debug", "TRACE", 10, ["DEBUG"], ""], ids=str)
async def test_an_unknown_level_changes_nothing(level: Json) -> None:
    room = Room()
    with pytest.raises(ConfigError, match="DEBUG, INFO"):
        await room.call("POST", "/v1/log-level", {"level": level})
    assert room.levels == []


async def test_going_back_takes_a_sequence() -> None:
    room = Room()
    answer = await room.call("POST", "/v1/policy/rollback", {"sequence": 6})
    assert (said(answer), room.asked) == ({"changed": True}, ["6"])


@pytest.mark.parametrize(
    "body", [None, {}, {"sequence": "6"}, {"sequence": True}, {"sequence": -1}]
)
async def test_going_back_takes_nothing_else(body: Json) -> None:
    room = Room()
    with pytest.raises(ConfigError, match="one to go back to"):
        await room.call("POST", "/v1/policy/rollback", body)
    assert room.asked == []
