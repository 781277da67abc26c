"""A fault that knows whom it answers."""

from outrider.core.errors import MalformedError
from outrider.core.vocabulary import Reason
from outrider.protocols.adapters.mcp.spec import Era
from outrider.protocols.adapters.mcp.turn import ConversationError, Envelope, Faulted
from outrider.protocols.wire.jsonrpc import Kind


def test_a_fault_keeps_its_reason_and_learns_its_address() -> None:
    fault = MalformedError("no", code=-32602, status=400, cause="params", pointer="/a")
    envelope = Envelope(era=Era.LEGACY, kind=Kind.REQUEST, id="7", method="tools/call")
    error = ConversationError(fault, Faulted(envelope))
    assert (error.reason, error.code, error.status) == (Reason.MALFORMED, -32602, 400)
    assert (error.cause, error.pointer, error.detail) == ("params", "/a", "no")
    assert error.conversation.envelope.id == "7"
