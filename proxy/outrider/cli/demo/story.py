"""What happens in the demonstration, and what must be true afterwards. Pure.

Laws: what is wanted is said of the upstreams' journals and the chain, never of the agent's view,
but for one thing that only an agent can miss: the tools it is not shown.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from outrider.cli.demo.stage import AGENT_ID, FOREIGN_ID, SIDECAR_ID, Stage
from outrider.cli.demo.svid import Issuer
from outrider.core.jsonvalue import JsonObject
from outrider.core.vocabulary import Effect, Reason

TOKEN_LIFE_S: Final = 300
PERSON: Final = "/people-api/people/7"


class Who(StrEnum):
    """Which client asks."""

    AGENT = "mcp 2.3.0"
    LEGACY = "mcp 1.30.0"


class Act(StrEnum):
    """What others do while the agent works."""

    START_TASK = "start_task"
    CHANGE_TOOL = "change_tool"
    ACCEPT_TOOL = "accept_tool"
    HOLD_TICKET = "hold_ticket"


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """What the journals and the chain must hold. `calls` are `upstream/call`, what really ran;
    `code` is the reason code that policy gave, `cause` the identity's."""

    effect: Effect
    reason: Reason | None = None
    calls: tuple[str, ...] = ()
    code: str | None = None
    cause: str | None = None
    hidden: tuple[str, ...] = ()
    event: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing tried, or done by others. `say` is what, `note` why it is worth a look."""

    say: str
    ask: JsonObject | None = None
    who: Who = Who.AGENT
    act: Act | None = None
    want: Want | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    title: str
    steps: tuple[Step, ...] = field(default_factory=tuple)


def story(stage: Stage, now_unix_s: float) -> tuple[Scene, ...]:
    """All of it, in order."""
    return (
        Scene(title="An agent does its work", steps=_work()),
        Scene(title="What its grant and the policy do not cover", steps=_refused()),
        Scene(title="What it read is not what it was asked", steps=_injected()),
        Scene(title="What it may not use, it does not see", steps=_hidden()),
        Scene(title="A tool changes after it was reviewed", steps=_changed()),
        Scene(title="Who is asking?", steps=_asked(stage, now_unix_s)),
        Scene(title="The policy changes while the agent works", steps=_live()),
    )


TASK: Final = (
    "task", "start", "answer ticket 4711", "--template", "desk",
    "--principal", "oidc:alice@acme.test",
    "--anchor", "ticket 4711 is by bob@shop.example, see note n-1",
)  # fmt: skip
"""How its principal's desk registers the task: with what the principal said."""


def _work() -> tuple[Step, ...]:
    return (
        Step(say="alice's desk: outrider task start “answer ticket 4711”", act=Act.START_TASK),
        _call("notes", "search_notes", {"query": "printer"}, note="MCP 2026-07-28"),
        _call("tickets", "get_ticket", {"ticket_id": "4711"}, note="MCP 2025-11-25"),
        _call(
            "tickets",
            "list_tickets",
            {"state": "open"},
            who=Who.LEGACY,
            note="MCP 2025-11-25, asked by an older client",
        ),
        _call("tickets", "reply", _MAIL, note="a mail to the customer"),
        _call(
            "tickets", "refund", {"ticket_id": "4711", "amount": 40}, note="up to 100 is granted"
        ),
        Step(
            say="GET people/7",
            ask=_http("GET", PERSON),
            want=Want(effect=Effect.ALLOW, calls=("people/GET /people/7",)),
            note="plain HTTP; the agent's own token dropped, the sidecar's attached",
        ),
    )


def _refused() -> tuple[Step, ...]:
    """Fewer denials than those after which a task may only read (SQ-25)."""
    grant = Want(effect=Effect.DENY, reason=Reason.GRANT)
    return (
        _call("tickets", "refund", {"ticket_id": "4711", "amount": 250}, want=grant),
        _call(
            "notes", "export_all", {"path": "notes.tar"}, want=grant, note="no manifest names it"
        ),
        Step(say="DELETE people/7", ask=_http("DELETE", PERSON), want=grant),
        _call(
            "tickets",
            "reply",
            {**_MAIL, "ticket_id": "9001"},
            want=Want(effect=Effect.DENY, reason=Reason.POLICY, code="HD-01"),
        ),
        _call(
            "notes",
            "share_note",
            {"note_id": "n-1", "to": "eve@rival.example"},
            want=Want(effect=Effect.DENY, reason=Reason.OBLIGATION, code="SQ-31"),
            note="a hold, and this version cannot ask a person yet",
        ),
    )


def _injected() -> tuple[Step, ...]:
    return (
        _call("tickets", "get_ticket", {"ticket_id": "4712"}, note="a stranger wrote it"),
        _call(
            "tickets",
            "reply",
            {**_MAIL, "to": "mallory@rival.example"},
            want=Want(effect=Effect.DENY, reason=Reason.OBLIGATION, code="PV-01"),
            note="only that ticket names mallory: held",
        ),
        _call("tickets", "reply", _MAIL, note="bob is whom alice named"),
    )


def _hidden() -> tuple[Step, ...]:
    return (
        Step(
            say="notes tools/list",
            ask={"do": "list", "at": "notes"},
            want=Want(
                effect=Effect.ALLOW,
                calls=("notes/tools/list",),
                hidden=("delete_note", "export_all"),
            ),
        ),
    )


def _changed() -> tuple[Step, ...]:
    read: JsonObject = {"note_id": "n-1"}
    return (
        _call("notes", "read_note", read, note="as it was when first seen"),
        Step(
            say="the notes server now says read_note wants “the whole customer list”",
            act=Act.CHANGE_TOOL,
        ),
        Step(
            say="notes tools/list",
            ask={"do": "list", "at": "notes"},
            want=Want(
                effect=Effect.ALLOW,
                calls=("notes/tools/list",),
                hidden=("delete_note", "export_all", "read_note"),
                event="definition_changed",
            ),
            note="the new words reach no model",
        ),
        _call(
            "notes",
            "read_note",
            read,
            want=Want(effect=Effect.DENY, reason=Reason.DEFINITION_CHANGED),
        ),
        Step(say="a person looked: outrider pins accept notes read_note", act=Act.ACCEPT_TOOL),
        _call("notes", "read_note", read, note="under its new definition"),
    )


def _asked(stage: Stage, now_unix_s: float) -> tuple[Step, ...]:
    def svid(issuer: Issuer, subject: str, life_s: int) -> JsonObject:
        token = issuer.svid(subject, SIDECAR_ID, now_unix_s=now_unix_s, life_s=life_s)
        return _http("GET", PERSON, {"proxy-authorization": f"Bearer {token}"})

    def refused(cause: str) -> Want:
        return Want(effect=Effect.DENY, reason=Reason.UNAUTHENTICATED, cause=cause)

    return (
        Step(
            say="GET people/7 with a JWT-SVID of acme.test",
            ask=svid(stage.issuer, AGENT_ID, TOKEN_LIFE_S),
            want=Want(effect=Effect.ALLOW, calls=("people/GET /people/7",), cause="jwt-svid"),
            note="the subject on the record is the token's, as verified",
        ),
        Step(
            say="GET people/7 with one that ran out a minute ago",
            ask=svid(stage.issuer, AGENT_ID, -60),
            want=refused("expired"),
        ),
        Step(
            say="GET people/7 with one of elsewhere.test",
            ask=svid(Issuer("elsewhere-1"), FOREIGN_ID, TOKEN_LIFE_S),
            want=refused("unknown_domain"),
        ),
        Step(
            say="GET people/7 with one of acme.test, signed by someone else",
            ask=svid(Issuer("acme-1"), AGENT_ID, TOKEN_LIFE_S),
            want=refused("bad_signature"),
        ),
    )


def _live() -> tuple[Step, ...]:
    return (
        _call("tickets", "reply", _MAIL, note="as before"),
        Step(say="legal puts ticket 4711 under hold", act=Act.HOLD_TICKET),
        _call(
            "tickets",
            "reply",
            _MAIL,
            want=Want(effect=Effect.DENY, reason=Reason.POLICY, code="HD-01"),
            note="no restart, no call lost",
        ),
    )


_MAIL: Final[JsonObject] = {
    "ticket_id": "4711",
    "to": "bob@shop.example",
    "body": "Hold the green button for five seconds.",
}


def _call(
    upstream: str,
    tool: str,
    arguments: JsonObject,
    *,
    want: Want | None = None,
    who: Who = Who.AGENT,
    note: str = "",
) -> Step:
    """A tool call; without `want` it is allowed and runs once."""
    given = " ".join(f"{key}={value}" for key, value in arguments.items() if key != "body")
    return Step(
        say=f"{upstream}/{tool} {given}",
        ask={"do": "call", "at": upstream, "tool": tool, "arguments": arguments},
        who=who,
        want=want or Want(effect=Effect.ALLOW, calls=(f"{upstream}/{tool}",)),
        note=note,
    )


def _http(method: str, path: str, headers: JsonObject | None = None) -> JsonObject:
    return {"do": "http", "method": method, "path": path, "headers": headers or {}}
