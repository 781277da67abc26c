"""Laws of the root task's document: bounded, reversible, the same whoever counts first."""

import copy
from typing import Any

from hypothesis import given, settings, strategies as st

from outrider.core.budget import Limits, Usage
from outrider.core.task import Allowance
from outrider.core.vocabulary import (
    ActionEffect,
    Effect,
    Label,
    OutcomeStatus,
    Role,
    Sensitivity,
)
from outrider.tasks import budgets
from outrider.tasks.behaviour import document as limits
from outrider.tasks.behaviour.acts import HOST_CHARS, Act
from outrider.tasks.behaviour.counting import Counted, count_in, refuse
from outrider.tasks.behaviour.document import TaskCodec, TaskDocument
from outrider.tasks.behaviour.outcomes import finish, learn
from outrider.tasks.provenance.answers import Learnt, Looked
from tests.support.builders import a_destination, an_action, an_ask

MOST_BYTES = 64 * 1024
TAGS = ("guard", "backup", "log", "list_principals", "read_role", "write_role", "encode",
        "consent", "memory", "spawn", "deploy", "autostart")  # fmt: skip

names = st.sampled_from(["a", "b", "c"])
acts = st.builds(
    lambda name, effect, outside, secret, tagged: an_act(
        name,
        effect=effect,
        host=f"{name}.test",
        zone="external" if outside else "internal",
        secrets=("s",) if secret else (),
        tags=("encode",) if tagged else (),
    ),
    names,
    st.sampled_from([ActionEffect.READ, ActionEffect.SEND, ActionEffect.DELETE]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)


def an_act(
    name: str,
    *,
    effect: ActionEffect = ActionEffect.READ,
    host: str = "a.test",
    zone: str = "internal",
    secrets: tuple[str, ...] = (),
    objects: int = 1,
    tool: str = "tool",
    **changes: Any,
) -> Act:
    action = an_action(
        ask=an_ask(resource=tool, arguments={"id": name}),
        effect=effect,
        roles=(("/id", Role.TARGET),),
        destinations=(a_destination(host, zone=zone),),
        **changes,
    )
    named = {f"/id/{place}": f"{place}{name[::-1]}".ljust(32, "0")[:32] for place in range(objects)}
    return Act(action, Looked(entries={}, incomplete=False, secret_ids=secrets, objects=named))


def a_document() -> TaskDocument:
    return TaskDocument("ab" * 32)


def count(document: TaskDocument, act: Act, ms: int, token: str = "") -> Counted:
    return count_in(document, [act], [{}], ms, token)


def sums(document: TaskDocument) -> dict[str, Any]:
    """What counts: all but the order of things, what was tried, and numbers of events."""
    told = {name: getattr(document, name) for name in TaskDocument.__slots__}
    for name in ("ring", "events", "acts", "stamps", "tags", "beacons", "totals"):
        told.pop(name)
    for name in ("calls", "deletes"):
        told[name] = told[name][0]
    told["tags"] = {tag: kept[1] for tag, kept in document.tags.items()}
    told["beacons"] = {host: sorted(times) for host, times in document.beacons.items()}
    return told


@given(before=st.lists(acts, max_size=6), held=acts, after=st.lists(acts, max_size=6))
def test_what_is_held_counts_for_nothing(before: list[Act], held: Act, after: list[Act]) -> None:
    without, with_it = a_document(), a_document()
    ms = 1_000_000
    for act in before:
        count(without, act, ms)
        count(with_it, act, ms)
    counted = count(with_it, held, ms)
    for act in after:
        count(without, act, ms)
        count(with_it, act, ms)
    refuse(with_it, [held], counted, Effect.HOLD, judged=False)
    assert sums(with_it) == sums(without)


@given(st.permutations([0, 1, 2, 3]), st.lists(acts, min_size=4, max_size=4))
def test_the_last_of_some_calls_sees_the_same_sums_in_any_order(
    order: list[int], some: list[Act]
) -> None:
    one, other = a_document(), a_document()
    for place in range(4):
        count(one, some[place], 1_000_000)
    for place in order:
        count(other, some[place], 1_000_000)
    assert sums(one) == sums(other)


@given(
    st.lists(
        st.tuples(st.sampled_from(["reserve", "use", "back"]), st.integers(0, 6)), max_size=40
    ),
    st.integers(0, 20),
    st.integers(0, 20),
)
def test_no_budget_is_used_beyond_its_limit_or_below_zero(
    steps: list[tuple[str, int]], own: int, root: int
) -> None:
    document = a_document()
    lineage = (
        Allowance(task="child", limits=Limits(calls=own)),
        Allowance(task="root", limits=Limits(calls=root)),
    )
    flying: list[int] = []
    used = 0
    for what, number in steps:
        if what == "reserve":
            if budgets.reserve(document, lineage, Usage(calls=number)).short is None:
                flying.append(number)
                used += number
        elif flying:
            back = flying.pop()
            unused = back if what == "back" else 0
            budgets.settle(document, lineage, Usage(calls=unused))
            used -= unused
        assert all(kept[0] == used for kept in document.used.values())
        assert 0 <= used <= min(own, root)


@given(st.binary(max_size=200))
def test_whatever_stands_in_the_store_is_read_or_taken_for_the_worst(data: bytes) -> None:
    document = TaskCodec().decode(data, 0)
    assert document.lost


@settings(max_examples=20)
@given(st.lists(acts, max_size=12), st.integers(0, 400))
def test_what_is_written_tells_the_same_when_it_is_read(some: list[Act], gap_s: int) -> None:
    document = a_document()
    for place, act in enumerate(some):
        counted = count(document, act, 1_000_000 + place * gap_s * 1000)
        learnt = Learnt(untrusted=True, labels=(Label.RECORD,), listed=("x" * 32,), records=1)
        learn(document, act, counted.events[0], learnt, size=1, raised=2)
    read = TaskCodec().decode(TaskCodec().encode(document), 0)
    probe, ms = an_act("a"), 1_000_000 + len(some) * gap_s * 1000
    assert count(read, probe, ms).behaviours == count(copy.deepcopy(document), probe, ms).behaviours


def test_the_widest_traffic_fits_a_document() -> None:
    document = a_document()
    ms = 1_795_426_200_000
    most = 2**53 // 512
    for number in range(700):
        ms += 80 if number < 500 else 1000
        act = an_act(
            f"{number:032}",
            effect=ActionEffect.DELETE if number % 2 else ActionEffect.READ,
            host=f"{number:05}." + "h" * 42,
            zone="external",
            secrets=tuple(f"fingerprint-of-secret-{number // 4}-{place}" for place in range(4)),
            objects=64,
            tool=f"{number}" + '"' * 120,
            tags=TAGS,
            sensitivity=Sensitivity.CONFIDENTIAL,
        )
        counted = count(document, act, ms, "t" * 16)
        lineage = (Allowance(task=f"tsk_{number:032}", limits=Limits(calls=2**53)),)
        budgets.reserve(document, lineage, Usage(calls=most, spend=most, bytes=most))
        objects = tuple(f"{place}{number:032}"[::-1] for place in range(256))
        learnt = Learnt(
            untrusted=True,
            labels=tuple(Label),
            records=most,
            subjects=objects,
            listed=tuple(f"{place}{f'{number:032}'[::-1]}".ljust(32, "0") for place in range(256)),
        )
        learn(document, act, counted.events[0], learnt, size=most, raised=3)
        if number % 3 == 0:
            refuse(document, [act], counted, Effect.DENY, judged=True)
        else:
            finish(document, [act], counted, OutcomeStatus.EXECUTED, 0)
        if number % 100 == 0 or number > 690:
            assert len(TaskCodec().encode(document)) <= MOST_BYTES


def test_a_document_whose_every_set_is_full_fits() -> None:
    document, big = a_document(), 2**53
    now = 1_795_426_200
    document.events, document.period, document.flags, document.highest = big, big, 7, 3
    document.records = document.bytes_in = big
    document.calls = [big, *[one for at in range(61) for one in (now + at, 9999)]]
    document.deletes = [*document.calls]
    document.denials = [big, *[one for at in range(301) for one in (now + at, 999)]]
    document.denied = {f"{at:020}": now for at in range(limits.DENIED_TOOLS)}
    document.aims = {f"{at:020}": "x" * 20 for at in range(limits.DENIED_AIMS + 1)}
    document.hosts = {f"{at:0{HOST_CHARS}}": [big, 9999] for at in range(limits.HOSTS)}
    document.subjects = {f"{at:0{limits.WIDTH}}": 1 for at in range(limits.SUBJECTS)}
    document.objects = {f"{at:0{limits.WIDTH}}": 1 for at in range(limits.OBJECTS)}
    document.listings = [
        {
            "count": big,
            "ids": "x" * limits.WIDTH * limits.LISTED,
            "deleted": {str(at): 99 for at in range(limits.LISTED)},
        }
        for _ in range(limits.LISTINGS)
    ]
    document.acts = ["x" * limits.PATTERN] * limits.PATTERNS
    document.stamps = [now + at // 9 for at in range(limits.PATTERNS)]
    document.tally = {"x" * limits.PATTERN: limits.PATTERNS}
    document.tags = {tag: [now * 1000, 99999] for tag in TAGS}
    document.secrets = {
        f"{at:040}": {f"{place:012}": 999 for place in range(limits.SECRET_PLACES)}
        for at in range(limits.SECRETS)
    }
    document.beacons = {
        f"{at:0{HOST_CHARS}}": [now * 1000] * limits.BEATS for at in range(limits.BEACONS)
    }
    counted = count(document, an_act("a", tool='"' * 100), now * 1000, "t" * 16)
    learn(document, an_act("a"), counted.events[0], Learnt(untrusted=True, labels=tuple(Label)),
          size=0, raised=3)  # fmt: skip
    document.ring = document.ring * limits.RING
    document.used = {f"tsk_{at:032}": [big] * 5 + [99, 63, 1] for at in range(limits.LINEAGE)}
    encoded = TaskCodec().encode(document)
    assert len(encoded) <= MOST_BYTES
    assert TaskCodec().decode(encoded, 0).lost is False
