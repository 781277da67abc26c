"""What results are held to by method, and what they leave behind (PROTOCOLS §4.3, §4.7)."""

from collections.abc import Callable
from typing import Final, Protocol

from outrider.core.errors import ObligationError, UpstreamFailedError
from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.core.ports import Edits, Note, Step
from outrider.protocols.adapters.mcp import edits as editing, spec
from outrider.protocols.adapters.mcp.eras import below
from outrider.protocols.adapters.mcp.schemas import Compiled
from outrider.protocols.adapters.mcp.turn import Desk, Turn
from outrider.protocols.pins import PinMode, described
from outrider.protocols.wire.turns import Work, in_turns

_HANDLE: Final = 256  # no longer one is taken from a caller


class Answer(Protocol):
    """The answer that a result stands in."""

    turn: Turn
    desk: Desk
    edits: Edits
    large: bool
    session_id: str | None

    def owns(self, members: JsonObject) -> bool:
        """Whether this names a task that the subject was given."""

    def dropped(self, event: str, why: str) -> Note:
        """The note of what was not passed on."""


def kept(answer: Answer, result: JsonObject) -> list[Step]:
    """The steps before `result` may pass, which is changed in place. Raises `EnforcementError`."""
    handler = _RESULTS.get(answer.turn.method)
    return handler(answer, result) if handler is not None else []


def _initialized(answer: Answer, result: JsonObject) -> list[Step]:
    version = result.get("protocolVersion")
    if not isinstance(version, str) or version not in spec.LEGACY_VERSIONS:
        raise UpstreamFailedError("the upstream chose a version that is not spoken here")
    turn = answer.turn
    if below(version, turn.options.min_version):
        raise UpstreamFailedError("the upstream chose a version older than the minimum")
    steps = _instructions(answer, result)
    if answer.session_id is not None:
        steps += answer.desk.sessions.bind(
            answer.session_id,
            subject=turn.subject,
            upstream=turn.upstream,
            route=turn.route.name,
            version=version,
        )
    return steps


def _instructions(answer: Answer, result: JsonObject) -> list[Step]:
    """Instructions are words to a model: pinned as a tool's are, left out where they differ."""
    text = result.get("instructions")
    if not isinstance(text, str):
        return []
    turn, pins = answer.turn, answer.desk.pins
    definition: JsonObject = {"instructions": text}
    words = described(turn.upstream, "instructions", definition, turn.options.definition_bytes)
    if words is None:
        del result["instructions"]
        pins.distrust(turn.upstream, "instructions", "instructions", "too_large")
        steps = pins.owed(turn.upstream, "instructions")
        return [*steps, answer.dropped("instructions_dropped", "too_large")]
    suspects = {"instructions": why} if (why := editing.suspicion(definition)) else {}
    mode = PinMode(turn.options.pinning)
    steps = pins.observe(turn.upstream, "instructions", [words], mode, suspects)
    pin = pins.get(turn.upstream, "instructions", "instructions")
    trusted = pin is not None and pin.fits
    if not trusted and turn.options.pinning != PinMode.ALERT.value:
        del result["instructions"]
    return steps


def _called(answer: Answer, result: JsonObject) -> list[Step]:
    turn = answer.turn
    if turn.is_modern and result.get("resultType") == "task" and not _takes_tasks(answer):
        raise UpstreamFailedError("the upstream made a task of a call that takes none")
    handle = as_object(result.get("task")).get("taskId", result.get("taskId"))
    made = handle is not None or "task" in result or result.get("resultType") == "task"
    if made and editing.restricts(answer.edits):
        # What the task comes to is fetched by another call, which these edits do not reach.
        raise ObligationError("a task's result would come back past what policy asks of it")
    if isinstance(handle, str) and len(handle) <= _HANDLE:
        given = answer.desk.sessions.give_handle(
            subject=turn.subject,
            upstream=turn.upstream,
            handle=handle,
            tool=str(turn.params.get("name")),
        )
        if not given:
            raise UpstreamFailedError("the upstream gave a task's id to another tool's call")
    if "structuredContent" not in result:
        return []
    return _check_structured(answer, result, str(turn.params.get("name")))


def _fetched(answer: Answer, result: JsonObject) -> list[Step]:
    """What a task came to is held to the definition of the tool that was called."""
    turn = answer.turn
    tool = answer.desk.sessions.tool_of(
        subject=turn.subject,
        upstream=turn.upstream,
        handle=str(turn.params.get("taskId")),
    )
    came = result if turn.method == "tasks/result" else as_object(result.get("result"))
    return _check_structured(answer, came, tool or "")


def _takes_tasks(answer: Answer) -> bool:
    """Whether the client said that it knows tasks; others cannot read such a result."""
    meta = as_object(answer.turn.params.get("_meta"))
    capabilities = as_object(meta.get(spec.META_CAPABILITIES))
    return spec.TASKS_EXTENSION in as_object(capabilities.get("extensions"))


def _check_structured(answer: Answer, result: JsonObject, tool: str) -> list[Step]:
    turn = answer.turn
    if "structuredContent" not in result or result.get("isError") is True:
        return []
    content = result["structuredContent"]
    mode = turn.options.structured_output
    pin = answer.desk.pins.get(turn.upstream, spec.Listing.TOOLS, tool)
    if mode == "off" or pin is None or "outputSchema" not in pin.current or answer.edits.redactions:
        return []
    compiled = answer.desk.schemas.get(pin.seen, "outputSchema", pin.current["outputSchema"])
    if answer.large:
        return in_turns(_fitted(answer, compiled, content))
    return _fitting(answer, fits=compiled.accepts(content))


def _fitted(answer: Answer, compiled: Compiled, content: Json) -> Work:
    yield
    fits = not compiled.would_take_long(content)
    yield
    return _fitting(answer, fits=fits and compiled.fits(content))


def _fitting(answer: Answer, *, fits: bool) -> list[Step]:
    if fits:
        return []
    if answer.turn.options.structured_output == "enforce":
        raise UpstreamFailedError("the result does not fit the tool's output schema")
    return [answer.dropped("structured_output", "schema")]


def _tasks(answer: Answer, result: JsonObject) -> list[Step]:
    """Only the tasks that this subject was given."""
    tasks = as_list(result.get("tasks"))
    if len(tasks) > answer.turn.options.list_items:
        raise UpstreamFailedError("the list of tasks is longer than the limit")
    result["tasks"] = [task for task in tasks if answer.owns(as_object(task))]
    return []


_RESULTS: Final[dict[str, Callable[[Answer, JsonObject], list[Step]]]] = {
    "initialize": _initialized,
    "server/discover": _instructions,
    "tools/call": _called,
    "tasks/list": _tasks,
    "tasks/get": _fetched,
    "tasks/result": _fetched,
}
