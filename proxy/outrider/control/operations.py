"""The operations of the control API: policy, pins, levels, explanations."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from outrider.control.api import Call, Endpoint, answer, problem
from outrider.control.http import Response
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.core.ports import Persist, Step, Store

PinKey: TypeAlias = tuple[str, str, str]
"""Upstream, kind and name."""

Reviewed: TypeAlias = Mapping[PinKey, str]
"""The digests of the definitions that a person looked at."""

_REVIEWED = 256  # definitions in one call

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class Accepts(Protocol):
    """An acceptance that can be carried out: its steps store it, `done` makes it count."""

    @property
    def steps(self) -> list[Step]: ...

    @property
    def keys(self) -> list[PinKey]: ...

    def done(self) -> None: ...


class Pins(Protocol):
    """What the API needs of the pin table."""

    def documents(self) -> list[JsonObject]: ...

    def differences(self, upstream: str, name: str) -> JsonObject: ...

    def to_accept(self, reviewed: Reviewed) -> Accepts: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """What is administered. `explain` gets a decision id and gives its explanation; `roll_back` the
    least sequence of signed policy that is to count again."""

    status: Callable[[], JsonObject]
    reload: Callable[[], Awaitable[bool]]
    roll_back: Callable[[int], Awaitable[bool]]
    pins: Pins
    store: Store
    explain: Callable[[str], Awaitable[JsonObject]]
    set_level: Callable[[str], None]
    accepted: Callable[[JsonObject], None]

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(method="GET", path="/v1/status", run=self._status),
            Endpoint(method="GET", path="/v1/policy", run=self._status),
            Endpoint(method="POST", path="/v1/policy/reload", run=self._reload),
            Endpoint(method="POST", path="/v1/policy/rollback", run=self._roll_back),
            Endpoint(method="GET", path="/v1/pins", run=self._list_pins),
            Endpoint(method="GET", path="/v1/pins/diff", run=self._diff_pin),
            Endpoint(method="POST", path="/v1/pins/accept", run=self._accept_pin),
            Endpoint(method="POST", path="/v1/explain", run=self._explain),
            Endpoint(method="POST", path="/v1/log-level", run=self._log_level),
        )

    async def _status(self, call: Call) -> Response:
        return answer(self.status())

    async def _reload(self, call: Call) -> Response:
        return answer({"changed": await self.reload()})

    async def _roll_back(self, call: Call) -> Response:
        sequence = as_object(call.body).get("sequence")
        if not isinstance(sequence, int) or isinstance(sequence, bool) or sequence < 0:
            raise ConfigError("give {sequence}, the one to go back to")
        return answer({"changed": await self.roll_back(sequence)})

    async def _list_pins(self, call: Call) -> Response:
        return answer({"pins": [*self.pins.documents()]})

    async def _diff_pin(self, call: Call) -> Response:
        upstream, name = _named(call.query)
        try:
            found = self.pins.differences(upstream, name)
        except KeyError:
            return problem(404, "no such pin")
        return answer({"upstream": upstream, "name": name, **found})

    async def _accept_pin(self, call: Call) -> Response:
        upstream, reviewed = _reviewed(as_object(call.body))
        try:
            accepts = self.pins.to_accept(reviewed)
        except ValueError as fault:
            return problem(409, f"{fault}: nothing was accepted; compare it before you accept")
        for step in accepts.steps:
            if isinstance(step, Persist):
                await self.store.put(step.table, step.key, step.value)
        accepts.done()  # only once it is stored
        pins: list[Json] = [
            {"kind": key[1], "name": key[2], "digest": reviewed[key]} for key in accepts.keys
        ]
        self.accepted({"upstream": upstream, "pins": pins})
        return answer({"accepted": len(pins)})

    async def _explain(self, call: Call) -> Response:
        decision_id = as_object(call.body).get("decision_id")
        if not isinstance(decision_id, str) or not 0 < len(decision_id) <= 64:
            raise ConfigError("give {decision_id}")
        return answer(await self.explain(decision_id))

    async def _log_level(self, call: Call) -> Response:
        level = as_object(call.body).get("level")
        if not isinstance(level, str) or level not in _LEVELS:
            raise ConfigError(f"give {{level}}, one of {', '.join(_LEVELS)}")
        self.set_level(level)
        return answer({"level": level})


def _named(query: Mapping[str, str]) -> tuple[str, str]:
    try:
        return query["upstream"], query["name"]
    except KeyError as missing:
        raise ConfigError("give ?upstream=…&name=…") from missing


def _reviewed(body: JsonObject) -> tuple[str, Reviewed]:
    upstream, pins = body.get("upstream"), as_list(body.get("pins"))
    found: dict[PinKey, str] = {}
    for pin in map(as_object, pins):
        match pin:
            case {"kind": str(kind), "name": str(name), "digest": str(digest)}:
                found[str(upstream), kind, name] = digest
            case _:
                pass  # found to be missing below
    whole = 0 < len(found) == len(pins) <= _REVIEWED
    if not isinstance(upstream, str) or not whole:
        raise ConfigError(
            "give {upstream, pins: [{kind, name, digest}]}: each pin once, with the digest that "
            f"was reviewed, up to {_REVIEWED} pins"
        )
    return upstream, found
