"""Rules asked one condition at a time: which hold for a query, which fail, with what values.

Laws: a condition is judged in its rule's own words, its names written out in full, after the ones
before it; only defined values are shown as values; an engine stays on the thread that made it and
ends with the `with`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import orjson
import regorus

from outrider.core.errors import ConfigError, is_panic
from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.policy.release import Release
from outrider.policy.rule_text import (
    bound_names,
    extent,
    free_names,
    full_text,
    metadata_of,
    own_text,
    reference_nodes,
    span_of,
    text_of,
    with_own_names,
    written_out,
)
from outrider.policy.syntax import (
    Module,
    Node,
    Path,
    Rule,
    node_of,
    parse,
    reference,
    the_node,
)
from outrider.policy.world import Language, World, world_of

DEPTH: Final = 4
_VALUE: Final = "value__"
_SHOWN: Final = 12
_NO_LANGUAGE: Final = Language(builtins={}, schema={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """What a name in a condition stood for. `missing` where it has no value at all."""

    name: str
    value: Json
    missing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One statement of a body. `because` are the bodies of what it names that made it so.

    Not `reached`: it needs a value that a failed one before it would have given.
    """

    line: int
    text: str
    reached: bool
    holds: bool
    values: tuple[Value, ...]
    because: tuple["Clause", ...]
    node: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One body of one rule. `values` is what it stands for, each way it holds; made of `parts`."""

    module: Module
    rule: Rule
    line: int
    holds: bool
    conditions: tuple[Condition, ...]
    values: tuple[Json, ...]
    parts: tuple[Node, ...]

    @property
    def metadata(self) -> JsonObject:
        """The METADATA that goes for the rule, with the package's title where it has none."""
        return metadata_of(self.module, self.rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Body:
    line: int
    statements: tuple[JsonObject, ...]
    value: tuple[int, int] | None
    nodes: tuple[Node, ...]


class Lens:
    """A release, asked about one query after another. Use it in a `with`, on one thread."""

    def __init__(self, release: Release) -> None:
        """Raises `ConfigError` for a release that does not load."""
        self.world: World = world_of(with_own_names(parse(release.modules)), _NO_LANGUAGE)
        self.data = release.data
        self._plain: regorus.Engine | None = None
        self._engine: regorus.Engine | None = None
        self._modules = release.modules
        self._query: JsonObject = {}

    def __enter__(self) -> Self:
        try:
            self._plain = regorus.Engine()
            for name, text in self._modules.items():
                self._plain.add_policy(name, text)
            self.lay(self.data)
        except RuntimeError as fault:
            raise ConfigError(f"policy does not load: {_first_lines(fault)}") from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._engine = None
        self._plain = None

    def lay(self, data: JsonObject) -> None:
        """Answer from `data` instead of the release's own."""
        if self._plain is None:
            raise ConfigError("use a Lens in a `with`")
        engine = self._plain.clone()
        engine.add_data_json(orjson.dumps(data).decode())
        engine.set_input_json(orjson.dumps(self._query).decode())
        self._engine = engine

    def look_at(self, query: JsonObject) -> None:
        """Answer for `query` from now on."""
        self._query = query
        if self._engine is not None:
            self._engine.set_input_json(orjson.dumps(query).decode())

    def decide(self, entrypoint: str) -> Json:
        """The value at `entrypoint`; None where it has none or fails."""
        found = self.ask([], entrypoint)
        return found[0] if found else None

    def ask(self, body: Sequence[str], value: str = "1") -> list[Json]:
        """`value` for every way in which all of `body` holds; none where it fails or errs."""
        if self._engine is None:
            raise ConfigError("use a Lens in a `with`")
        # A bare query takes `not` for true whatever it negates; a comprehension does not.
        text = f"{_VALUE} := [{value} | {'; '.join(body) or 'true'}]"
        try:
            answer = orjson.loads(self._engine.eval_query_as_json(text))
        except (RuntimeError, orjson.JSONDecodeError):
            return []
        except BaseException as fault:
            if not is_panic(fault):
                raise
            raise ConfigError("the policy engine failed") from None
        results = as_list(as_object(answer).get("result"))
        bindings = as_object(as_object(results[0] if results else None).get("bindings"))
        return as_list(bindings.get(_VALUE))

    # --- rules --------------------------------------------------------------------------

    def clauses(
        self, path: Path, *, depth: int = DEPTH, seen: frozenset[Path] = frozenset()
    ) -> tuple[Clause, ...]:
        """Every body of every rule at `path`, asked; functions are left out."""
        return tuple(
            clause
            for module, rule in self.world.each_rule()
            if rule.path == path and rule.kind != "function"
            for clause in self.of_rule(module, rule, depth=depth, seen=seen | {path})
        )

    def of_rule(
        self,
        module: Module,
        rule: Rule,
        *,
        depth: int = DEPTH,
        seen: frozenset[Path] = frozenset(),
    ) -> Iterator[Clause]:
        for body in _bodies(module, rule):
            conditions = self._conditions(module, rule, body, depth, seen)
            texts = [full_text(self.world, module, rule, part) for part in body.statements]
            head = "true"
            if body.value is not None:
                head = written_out(self.world, module, rule, body.nodes, *body.value)
            values = self.ask(texts, head) if all(one.holds for one in conditions) else []
            yield Clause(
                module=module,
                rule=rule,
                line=body.line,
                holds=bool(values),
                conditions=conditions,
                values=tuple(values),
                parts=body.nodes[-1:],
            )
            if values and rule.kind == "complete":
                return  # what stands behind `else` was not asked

    def _conditions(
        self, module: Module, rule: Rule, body: _Body, depth: int, seen: frozenset[Path]
    ) -> tuple[Condition, ...]:
        found: list[Condition] = []
        before: list[str] = []
        known: set[str] = set()
        for statement in body.statements:
            node = the_node(statement.get("literal"))
            text = full_text(self.world, module, rule, statement)
            binds = frozenset(bound_names(node))
            reached = free_names(module, node, rule.locals) <= known | binds
            holds = reached and bool(self.ask([*before, text]))
            if holds:
                # What comes after a failed one is asked as if that one were not there.
                before.append(text)
                known |= binds
            found.append(
                Condition(
                    line=node.line,
                    text=own_text(module, statement),
                    reached=reached,
                    holds=holds,
                    values=tuple(self._values(module, rule, node, before, known)),
                    because=self._because(module, rule, node, holds, depth, seen),
                    node=node,
                )
            )
        return tuple(found)

    def _values(
        self, module: Module, rule: Rule, node: Node, given: list[str], known: set[str]
    ) -> Iterator[Value]:
        shown: set[str] = set()
        for part in reference_nodes(node):
            name = text_of(module, part)
            if name in shown or len(shown) >= _SHOWN:
                continue
            if not free_names(module, part, rule.locals) <= known:
                continue
            shown.add(name)
            found = self.ask(given, self._full(module, rule, part))
            if found:
                yield Value(name=name, value=_short(found[0]), missing=False)
            else:
                yield Value(name=name, value=None, missing=True)

    def _because(
        self,
        module: Module,
        rule: Rule,
        node: Node,
        holds: bool,
        depth: int,
        seen: frozenset[Path],
    ) -> tuple[Clause, ...]:
        """The bodies that failed below: of what is negated and so holds, of what failed."""
        if depth <= 0 or holds is not (node.kind == "NotExpr"):
            return ()
        found: list[Clause] = []
        for part in reference_nodes(node):
            path = self.world.resolve(module, rule, reference(part))
            target = self.world.rule_at(path) if path is not None and path[0] == "data" else None
            if target is not None and target not in seen:
                below = self.clauses(target, depth=depth - 1, seen=seen)
                found += [clause for clause in below if not clause.holds]
        return tuple(found)

    def _full(self, module: Module, rule: Rule, node: Node) -> str:
        return written_out(self.world, module, rule, (node,), *span_of(node))


def _bodies(module: Module, rule: Rule) -> Iterator[_Body]:
    """The bodies of a rule with the value each stands for; a fact has one without statements."""
    head = node_of(rule.node.body.get("head"))
    if head is None:
        return
    own = _member(module, head) if head.kind == "Set" else _assigned(module, head.body)
    bodies = as_list(rule.node.body.get("bodies"))
    if not bodies:
        yield _Body(line=rule.line, statements=(), value=own, nodes=(head,))
    for item in bodies:
        body = as_object(item)
        query = as_object(body.get("query"))
        statements = tuple(as_object(part) for part in as_list(query.get("stmts")))
        line = as_object(body.get("span")).get("line")
        other = _assigned(module, body)
        value = node_of(as_object(body.get("assign")).get("value"))
        yield _Body(
            line=line if body.get("is_else") and isinstance(line, int) else rule.line,
            statements=statements,
            value=other or own,
            nodes=(head, *((value,) if value is not None else ())),
        )


def _assigned(module: Module, body: JsonObject) -> tuple[int, int] | None:
    """The place of what stands behind `:=`: regorus places a long object at its last member."""
    assign = as_object(body.get("assign"))
    if not assign:
        return None
    start, end = extent(module, assign.get("span"))
    while module.source[start : start + 1] in (b":", b"="):
        start += 1
    return start, end


def _member(module: Module, head: Node) -> tuple[int, int] | None:
    """The place of what stands behind `contains`."""
    start, end = extent(module, head.body.get("span"))
    found = module.source.find(b" contains ", start, end)
    return (found + len(b" contains "), end) if found >= 0 else None


def _short(value: Json, limit: int = 400) -> Json:
    """`value`, or how large it is."""
    size = len(orjson.dumps(value))
    if size <= limit:
        return value
    kind = "array" if isinstance(value, list) else "object" if isinstance(value, dict) else "text"
    return f"({kind} of {size} bytes)"


def _first_lines(fault: RuntimeError) -> str:
    said = str(fault).split("\n\nStack backtrace", 1)[0]
    return " ".join(said.split())[:400]
