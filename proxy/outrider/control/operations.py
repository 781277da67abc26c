"""The operations of the control API: policy, pins, levels, explanations."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from outrider.control.api import Call, Endpoint, answer, problem
from outrider.control.http import Response
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import JsonObject, as_object
from outrider.core.ports import Persist, Step, Store

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class Pins(Protocol):
    """What the API needs of the pin table."""

    def documents(self) -> list[JsonObject]: ...

    def differences(self, upstream: str, name: str) -> list[JsonObject]: ...

    def to_accept(self, upstream: str, name: str | None = None) -> list[Step]: ...

    def accept(self, upstream: str, name: str | None = None) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """What is administered. `explain` gets a decision id and gives its explanation."""

    status: Callable[[], JsonObject]
    reload: Callable[[], Awaitable[bool]]
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

    async def _list_pins(self, call: Call) -> Response:
        return answer({"pins": [*self.pins.documents()]})

    async def _diff_pin(self, call: Call) -> Response:
        upstream, name = _named(call.query)
        try:
            changes = self.pins.differences(upstream, name)
        except KeyError:
            return problem(404, "no such pin")
        return answer({"upstream": upstream, "name": name, "changes": [*changes]})

    async def _accept_pin(self, call: Call) -> Response:
        body = as_object(call.body)
        upstream, name = body.get("upstream"), body.get("name")
        if not isinstance(upstream, str) or not isinstance(name, str | None):
            raise ConfigError("give {upstream, name}; name null accepts all of the upstream")
        steps = self.pins.to_accept(upstream, name)
        accepted = 0
        for step in steps:
            if isinstance(step, Persist):
                await self.store.put(step.table, step.key, step.value)
                accepted += 1
        self.pins.accept(upstream, name)  # only once it is stored
        self.accepted({"upstream": upstream, "name": name, "accepted": accepted})
        return answer({"accepted": accepted})

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
