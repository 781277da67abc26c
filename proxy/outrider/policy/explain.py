"""Why a decision was made, and what would change it: from the record, the query, the release.

Laws: the query is asked again, by the interpreter, of the very rules; a refusal of the proxy's own
is explained from its record; nothing here decides anything. Output is for operators: it shows
values of the query.
"""

import shlex
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

import orjson

from outrider.core.answers import ANSWERS
from outrider.core.catalogue import UNDECLARED
from outrider.core.constraints import UNNAMED
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.core.vocabulary import Reason
from outrider.policy.changes import ChangeSearch, decision_of, is_kind_of_action, pointer_of
from outrider.policy.clauses import Clause, Condition, Lens
from outrider.policy.release import Release
from outrider.policy.rule_text import reference_nodes
from outrider.policy.syntax import (
    Module,
    Node,
    Path,
    Rule,
    constant_text,
    node_of,
    reference,
    walk,
)

ENTRYPOINT: Final = "data.outrider.decision"
_NEAR: Final = 5
_TRACED: Final = 12
_LACKING: Final = {  # words of `core.grant`, and the part of the grant they speak of
    "does not name this tool": "tools",
    "no tool of this upstream": "tools",
    "does not allow this effect": "effects",
    "more sensitive than": "sensitivity",
}
_STANDING: Final = "tsk_standing_"
_NOT_KEPT: Final = "the input was not kept: set audit.inputs to store to have it explained"
_UNASKED: Final = "policy was not asked: the time for it had passed before its input was made"
_OURS: Final = frozenset(
    reason.value
    for reason in Reason
    if not reason.value.startswith("policy") and reason not in (Reason.HELD, Reason.OBLIGATION)
)


def explain(
    release: Release, query: JsonObject | bytes, entrypoint: str = ENTRYPOINT
) -> JsonObject:
    """The decision of `release` on `query`, the rules that made it, what failed, what would flip
    it. Blocking, some seconds at most; on one thread. Raises `ConfigError`.

    `{decision, decided_by[], failed[], near[], change}`; a rule is `{rule, code, title, effect,
    message, file, line, holds, conditions[]}`, a condition `{line, text, holds, values[],
    because[]}`; `change` is `{document, pointer, from, to, effect, codes, also[]}` or null.
    """
    document = orjson.loads(query) if isinstance(query, bytes) else query
    if not isinstance(document, dict):
        raise ConfigError("the stored input is no object")
    with Lens(release) as lens:
        lens.look_at(document)
        decision = decision_of(lens.decide(entrypoint))
        effect = str(decision.get("effect"))
        found = _deciding(lens, entrypoint, decision)
        deciding = [clause for clause, _ in found]
        near = list(_near(lens))
        mined = [*deciding, *near] if effect == "allow" else deciding
        change = ChangeSearch(lens, document, entrypoint).find(effect, mined)
        return {
            "decision": decision,
            "revision": release.revision,
            "decided_by": [_rule(clause, finding) for clause, finding in found],
            # Of an allow, what failed is every rule that found nothing: that is `near`.
            "failed": [] if effect == "allow" else list(_failed(deciding)),
            "near": [_rule(clause, None) for clause in near[:_NEAR]],
            "change": change,
        }


def explain_record(
    record: JsonObject,
    query: bytes | None,
    release: Release,
    entrypoint: str = ENTRYPOINT,
) -> JsonObject:
    """The explanation of an audit record of kind decision, as `explain` with `record` and `by`.

    `by` is `policy` or `proxy`; `replayed` says whether policy, asked again, says the same.
    """
    made = as_object(record.get("decision"))
    action = as_object(record.get("action"))
    facts: JsonObject = {
        "decision_id": made.get("id"),
        "time": record.get("time"),
        "subject": as_object(record.get("subject")).get("id"),
        "resource": action.get("resource"),
        "effect": made.get("effect"),
        "enforced": made.get("enforced"),
        "reason": made.get("reason"),
        "detail": made.get("detail"),
        "revision": made.get("revision"),
        "provenance": as_object(record.get("provenance")),
        "behaviour": as_object(record.get("behaviour")),
    }
    reason = made.get("reason")
    unasked = query == b""  # what could not be put to policy is kept as the empty input
    ours = made.get("effect") == "allow"  # policy let it pass, the proxy did not
    if reason in _OURS and (query is None or unasked or ours):
        return {"by": "proxy", "record": facts, **_refusal(record, release, Reason(str(reason)))}
    if query is None or unasked:
        return {
            "by": "policy",
            "record": facts,
            "decided_by": [],
            "failed": [],
            "near": [],
            "change": None,
            "summary": _UNASKED if unasked else _NOT_KEPT,
            "reasons": made.get("reasons"),
        }
    found = explain(release, query, entrypoint)
    now = as_object(found["decision"]).get("effect")
    replayed: JsonObject = {
        "same": now == made.get("effect"),
        "effect": now,
        "revision": release.revision,
        "recorded_revision": made.get("revision"),
    }
    return {"by": "policy", "record": facts, "replayed": replayed, **found}


# --- the deciding rules ---------------------------------------------------------------------


def _deciding(
    lens: Lens, entrypoint: str, decision: JsonObject
) -> list[tuple[Clause, JsonObject | None]]:
    """The bodies that made the decision, each with the finding it gave."""
    effect = decision.get("effect")
    pairs: list[tuple[Clause, JsonObject | None]] = []
    if effect != "allow":
        for item in as_list(decision.get("reasons")):
            reason = as_object(item)
            if reason.get("mode", "enforce") == "enforce":
                pairs += _finders(lens, reason)
        pairs = _merged(pair for pair in pairs if _gave(pair[1], effect))
    if not pairs:
        traced = _trace(lens, tuple(entrypoint.split(".")), set())
        shown = [one for one in traced if one.holds or effect != "allow"]
        pairs = [(clause, None) for clause in shown[:_TRACED]]
    return pairs


def _gave(finding: JsonObject | None, effect: Json) -> bool:
    return as_object(finding).get("effect", effect) == effect


def _merged(
    pairs: Iterable[tuple[Clause, JsonObject | None]],
) -> list[tuple[Clause, JsonObject | None]]:
    """One entry a body and code, with all its messages."""
    found: dict[tuple[str, int, str], tuple[Clause, JsonObject | None]] = {}
    for clause, finding in pairs:
        given = as_object(finding)
        key = (clause.module.file, clause.line, str(given.get("code")))
        if key in found:
            before = as_object(found[key][1])
            given = {**before, "message": f"{before.get('message')}; {given.get('message')}"}
        found[key] = (clause, given)
    return list(found.values())


def _finders(lens: Lens, reason: JsonObject) -> list[tuple[Clause, JsonObject | None]]:
    """The bodies that gave a finding of this code and message: those that write the code, or, where
    none does, those that pass it on."""
    sets = [(module, rule) for module, rule in lens.world.each_rule() if rule.kind == "set"]
    writing = [one for one in sets if _writes(one[1], reason.get("code"))]
    found = list(_giving(lens, writing, reason))
    return found or list(islice(_giving(lens, sets, reason), 1))


def _writes(rule: Rule, code: Json) -> bool:
    """Whether the rule spells the code out."""
    return any(
        node.kind in ("String", "RawString") and node.body.get("value") == code
        for node in walk(rule.node)
    )


def _giving(
    lens: Lens, rules: Iterable[tuple[Module, Rule]], reason: JsonObject
) -> Iterator[tuple[Clause, JsonObject | None]]:
    """The bodies of `rules` that give a finding of this code and message."""
    for module, rule in rules:
        for clause in lens.of_rule(module, rule):
            for value in clause.values:
                given = as_object(value)
                same_code = given.get("code") == reason.get("code")
                if same_code and given.get("message") == reason.get("message"):
                    yield clause, given
                    break


def _trace(lens: Lens, path: Path, seen: set[Path]) -> Iterator[Clause]:
    """What the value at `path` came from: bodies that hold, or all that failed for its default."""
    if path in seen or len(seen) >= _TRACED:
        return
    seen.add(path)
    clauses = lens.clauses(path, seen=frozenset(seen))
    holding = [clause for clause in clauses if clause.holds]
    whole = len(seen) == 1  # the entry point itself
    told = [clause for clause in holding if clause.conditions]  # an `else` alone has none
    yield from (
        clause
        for clause in told or clauses
        if clause.conditions and (whole or not clause.values or _is_verdict(clause.values[0]))
    )
    for clause in holding:
        for part in (*(one.node for one in clause.conditions), *clause.parts):
            for place in reference_nodes(part):
                found = lens.world.resolve(clause.module, clause.rule, reference(place))
                target = lens.world.rule_at(found) if found and found[0] == "data" else None
                if target and all(one.kind in _SINGLE for one in lens.world.rules[target]):
                    yield from _trace(lens, target, seen)


def _is_verdict(value: Json) -> bool:
    return value is True or value in ("allow", "hold", "deny")


_SINGLE: Final = frozenset({"complete", "default"})


def _near(lens: Lens) -> Iterator[Clause]:
    """Bodies of findings that one condition alone kept from holding, but for those about another
    kind of action."""
    for module, rule in lens.world.each_rule():
        head = node_of(rule.node.body.get("head"))
        key = node_of(head.body.get("key")) if head is not None and rule.kind == "set" else None
        if key is None or key.kind not in ("Call", "Object") or not _names_a_code(lens, key):
            continue
        for clause in lens.of_rule(module, rule, depth=1):
            failed = [one for one in clause.conditions if not one.holds]
            if not clause.holds and len(failed) == 1 and not _is_of_another_kind(failed[0]):
                yield clause


def _names_a_code(lens: Lens, key: Node) -> bool:
    known = as_object(as_object(lens.data.get("outrider")).get("rules"))
    texts = (constant_text(node) for node in walk(key))
    return any(text is not None and (text in known or text == "code") for text in texts)


def _is_of_another_kind(condition: Condition) -> bool:
    chains = [reference(node) for node in reference_nodes(condition.node)]
    read = [pointer_of(chain.static) for chain in chains if chain.root == "input"]
    return len(read) == len(chains) and bool(read) and all(map(is_kind_of_action, read))


# --- telling --------------------------------------------------------------------------------


def _rule(clause: Clause, finding: JsonObject | None) -> JsonObject:
    metadata = clause.metadata
    given = as_object(finding)
    return {
        "rule": ".".join(clause.rule.path),
        "code": given.get("code") or metadata.get("id"),
        "title": metadata.get("title") or metadata.get("description"),
        "effect": given.get("effect"),
        "message": given.get("message"),
        "file": clause.module.file,
        "line": clause.line,
        "holds": clause.holds,
        "conditions": [_condition(condition) for condition in clause.conditions],
    }


def _condition(condition: Condition) -> JsonObject:
    return {
        "line": condition.line,
        "text": condition.text,
        "holds": condition.holds,
        "reached": condition.reached,
        "values": [
            {"name": value.name, "missing": True}
            if value.missing
            else {"name": value.name, "value": value.value}
            for value in condition.values
        ],
        "because": [_rule(clause, None) for clause in condition.because],
    }


def _failed(clauses: Iterable[Clause]) -> Iterator[JsonObject]:
    """The conditions that failed, at the bottom of what made the deciding rules hold or fail."""
    seen: set[tuple[str, int, str]] = set()
    stack = list(clauses)
    while stack:
        clause = stack.pop(0)
        for condition in clause.conditions:
            stack += condition.because
            key = (clause.module.file, condition.line, condition.text)
            if condition.holds or condition.because or not condition.reached or key in seen:
                continue
            seen.add(key)
            yield {
                "rule": ".".join(clause.rule.path),
                "file": clause.module.file,
                **_condition(condition),
            }


# --- refusals of the proxy's own ------------------------------------------------------------


def _refusal(record: JsonObject, release: Release, reason: Reason) -> JsonObject:
    answer = ANSWERS[reason]
    told: JsonObject = {
        "decided_by": [],
        "failed": [],
        "near": [],
        "change": None,
        "summary": _summary(record, reason),
        "advice": answer.advice,
    }
    if reason is Reason.DEFINITION_CHANGED:
        told["summary"] = f"{told['summary']}; {_review(record)}"
    return {**told, **_grant_gap(record, release)} if reason is Reason.GRANT else told


def _summary(record: JsonObject, reason: Reason) -> str:
    made = as_object(record.get("decision"))
    why, pointer = made.get("detail") or ANSWERS[reason].advice, made.get("pointer")
    return f"{ANSWERS[reason].title}: {why}" + ("" if pointer is None else f": {pointer}")


def _review(record: JsonObject) -> str:
    """What to do about a definition that is not the accepted one."""
    upstream, slash, name = str(as_object(record.get("action")).get("resource")).partition("/")
    if not slash:
        return "review it with `outrider pins diff`, accept it with `outrider pins accept`"
    named = f"{shlex.quote(upstream)} {shlex.quote(name)}"
    return (
        f"review it with `outrider pins diff {named}`, which ends with the "
        f"`outrider pins accept` that takes what it showed"
    )


def _grant_gap(record: JsonObject, release: Release) -> JsonObject:
    """What a standing grant lacks for the recorded action, as far as the record tells. The grant
    of a task is not in the release, and nobody widens it by a change of policy."""
    task = record.get("task")
    if isinstance(task, str) and not task.startswith(_STANDING):
        return {
            "summary": f"{_summary(record, Reason.GRANT)}. It works under a task: "
            f"`outrider task show {task}` prints what that may do. A task is not widened without a "
            f"person; start another, by a template that reaches further"
        }
    agent = str(as_object(record.get("subject")).get("id"))
    entry = release.agents.get(agent)
    if entry is None or entry.grant is None:
        return {}
    action, document = as_object(record.get("action")), entry.grant.document
    resource, effect = str(action.get("resource")), action.get("effect")
    detail = str(as_object(record.get("decision")).get("detail"))
    pointer = as_object(record.get("decision")).get("pointer")
    if detail == UNNAMED:
        return _unnamed(record, agent, document)
    key = next((key for words, key in _LACKING.items() if words in detail), "")
    wanted: Json = {
        "": None,
        "tools": f"{resource.partition('/')[0]}/*" if "upstream" in detail else resource,
        "effects": effect,
        "sensitivity": _sensitivity(release, resource),
    }[key]
    granted: Json = document.get(key) if key else dict(document)
    if not key and pointer is not None:
        detail = f"{detail}: {pointer}"
    failed: JsonObject = {
        "rule": "the task's grant",
        "file": None,
        "line": None,
        "text": _wanting(key, wanted) if key else detail,
        "holds": False,
        "values": [{"name": f"grant.{key}" if key else "grant", "value": granted}],
        "because": [],
    }
    if wanted is None:
        return {"failed": [failed]}
    base = pointer_of(("outrider", "agents", agent, "grant", key))
    change: JsonObject = {
        "document": "data",
        "pointer": base,
        "from": granted,
        "to": wanted if key == "sensitivity" else [*as_list(granted), wanted],
        "effect": "asked",
        "codes": [],
        "also": [],
    }
    return {"failed": [failed], "change": change}


def _unnamed(record: JsonObject, agent: str, document: JsonObject) -> JsonObject:
    """An argument that the grant constrains by not naming it."""
    resource = str(as_object(record.get("action")).get("resource"))
    pointer = as_object(record.get("decision")).get("pointer")
    granted = as_object(document.get("arguments")).get(resource)
    failed: JsonObject = {
        "rule": "the task's grant",
        "file": None,
        "line": None,
        "text": f"the grant names {pointer} under arguments of {resource}",
        "holds": False,
        "values": [{"name": f"grant.arguments.{resource}", "value": granted}],
        "because": [],
    }
    if not isinstance(granted, dict) or not isinstance(pointer, str):
        return {"failed": [failed]}  # several rules at once: each would have to name it
    place = ("outrider", "agents", agent, "grant", "arguments", resource, pointer)
    change: JsonObject = {
        "document": "data",
        "pointer": pointer_of(place),
        "from": None,
        "to": {},
        "effect": "asked",
        "codes": [],
        "also": [],
    }
    return {"failed": [failed], "change": change}


def _wanting(key: str, wanted: Json) -> str:
    return {
        "tools": f"the grant names {wanted}",
        "effects": f"the grant allows {wanted}",
        "sensitivity": f"the grant reaches {wanted}",
    }[key]


def _sensitivity(release: Release, resource: str) -> Json:
    """How far a grant must reach for `resource`: as what is declared of it, else of the rest."""
    upstream, _, name = resource.partition("/")
    found = release.manifest.upstreams.get(upstream)
    if found is None:
        return UNDECLARED.sensitivity.value
    named = {entry.operation_id or key: entry for key, entry in found.operations.items()}
    entry = found.tools.get(name) or named.get(name) or found.default
    return entry.sensitivity.value
