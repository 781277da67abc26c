"""GOVERNANCE §2: whatever happens to tasks, an end is final and no grant ever grows."""

from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from hypothesis.strategies import fixed_dictionaries, lists, sampled_from

from outrider.core.grant import narrower
from outrider.core.vocabulary import TaskEnd, TaskState
from outrider.tasks.chain import bound_of
from outrider.tasks.lifecycle import (
    NEXT,
    LifecycleError,
    Step,
    WideningError,
    confined,
    ended,
    narrowed,
    stepped,
    with_child,
)
from outrider.tasks.task import Slot, SlotCodec, Task
from tests.support.builders import NOW_UNIX_S, a_grant
from tests.support.tasks import a_registered_task

ASKS = fixed_dictionaries(
    {},
    optional={
        "tools": lists(sampled_from(["*", "crm/*", "crm/get_*", "mail/x"]), max_size=2),
        "effects": lists(sampled_from(["read", "send", "pay"]), unique=True),
        "destinations": lists(sampled_from(["*", "crm.internal"]), max_size=1),
        "calls": sampled_from([None, 0, 5, 50]),
        "expires_at": sampled_from([None, "2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z"]),
    },
)


class Tasks(RuleBasedStateMachine):
    """A root and its descendants, changed as operators, agents and policy would."""

    tasks = Bundle("tasks")

    def __init__(self) -> None:
        super().__init__()
        self.now = {"tsk_0": a_registered_task(id="tsk_0", grant=a_grant(calls=10))}
        self.first = dict(self.now)
        self.ends: dict[str, Task] = {}

    @rule(target=tasks)
    def root(self) -> str:
        return "tsk_0"

    @rule(target=tasks, parent=tasks, ask=ASKS)
    def child(self, parent: str, ask: dict[str, object]) -> str:
        above = self.now[parent]
        if above.state is not TaskState.ACTIVE or len(self.now) > 8:
            return parent
        name = f"tsk_{len(self.now)}"
        born = confined(above, ask, by="x", now_unix_s=NOW_UNIX_S)  # type: ignore[arg-type]
        self.now[name] = a_registered_task(
            id=name,
            parent=parent,
            root="tsk_0",
            grant=born.grant,
            parent_revision=above.grant_revision,
        )
        self.now[parent] = with_child(above, name, by="x", now_unix_s=NOW_UNIX_S)
        self.first[name] = self.now[name]
        return name

    @rule(name=tasks, ask=ASKS, change=sampled_from([narrowed, confined]))
    def regrant(self, name: str, ask: dict[str, object], change: object) -> None:
        before = self.now[name]
        try:
            after = change(before, ask, by="x", now_unix_s=NOW_UNIX_S)  # type: ignore[operator]
        except (LifecycleError, WideningError):
            return
        assert narrower(after.grant, before.grant)
        grown = after.grant_revision - before.grant_revision
        assert grown == (0 if narrower(before.grant, after.grant) else 1)
        self.now[name] = after

    @rule(name=tasks, step=sampled_from([Step.SUSPENDED, Step.RESUMED, Step.ACTIVATED]))
    def step(self, name: str, step: Step) -> None:
        before = self.now[name]
        try:
            self.now[name] = stepped(before, step, by="x", now_unix_s=NOW_UNIX_S)
        except LifecycleError:
            assert step not in NEXT[before.state]

    @rule(name=consumes(tasks), end=sampled_from(list(TaskEnd)))
    def end(self, name: str, end: TaskEnd) -> None:
        self.now[name] = ended(self.now[name], end, by="x", now_unix_s=NOW_UNIX_S)
        self.ends.setdefault(name, self.now[name])

    @invariant()
    def an_end_is_final(self) -> None:
        for name, over in self.ends.items():
            assert self.now[name].end is over.end
            assert self.now[name].state is TaskState.ENDED

    @invariant()
    def no_grant_ever_grew(self) -> None:
        for name, task in self.now.items():
            assert narrower(task.grant, self.first[name].grant)

    @invariant()
    def what_is_bound_is_within_every_parent(self) -> None:
        for task in self.now.values():
            chain = [task]
            while chain[-1].parent is not None:
                chain.append(self.now[chain[-1].parent])
            bound = bound_of(tuple(chain))
            assert all(narrower(bound.grant, one.grant) for one in chain)
            assert bound.grant_revision >= task.grant_revision
            assert len(bound.lineage) == len(chain)

    @invariant()
    def the_store_gives_back_what_it_was_given(self) -> None:
        codec = SlotCodec()
        for task in self.now.values():
            assert codec.decode(codec.encode(Slot(task=task)), 0.0).task == task


TestTasks = Tasks.TestCase
TestTasks.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
