"""The chain of evidence."""

from typing import Protocol

from outrider.core.jsonvalue import JsonObject


class AuditLog(Protocol):
    """The chain. A record is a JSON object without `seq`, `prev`, `hash`, `chain`."""

    async def append(
        self, record: JsonObject, *, durable: bool, query: bytes | None = None
    ) -> None:
        """Written when it returns; with `durable` synced to disk too.

        Raises `AuditUnavailableError`. `query` is kept where inputs are stored,
        under the decision id of the record.
        """

    def append_nowait(self, record: JsonObject) -> None:
        """Queue a record; where there is no room it is dropped and the log is unavailable."""

    def append_refusal(self, record: JsonObject) -> None:
        """Queue the record of a refusal made before policy was asked. Identical ones (subject,
        reason, cause) beyond ten a second are folded into one `repeat` record a second."""

    def healthy(self) -> bool: ...
