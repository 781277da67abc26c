"""The inventory of agents: who spoke to this sidecar, set against who is declared."""

from collections.abc import Callable
from dataclasses import dataclass

from outrider.control.api import Call, Endpoint, answer
from outrider.control.http import Response
from outrider.core.jsonvalue import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOperations:
    """`document` gives `{agents, forgotten}`; nothing is changed here."""

    document: Callable[[], JsonObject]

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (Endpoint(method="GET", path="/v1/agents", run=self._list),)

    async def _list(self, call: Call) -> Response:
        return answer(self.document())
