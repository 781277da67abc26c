"""Sessions and scopes: whose they are, what they remember, and that they are bounded."""

from outrider.core.jsonvalue import JsonObject
from outrider.core.ports import Persist, Step
from outrider.protocols.sessions import (
    NAMES_MAX,
    Bounded,
    Scope,
    Seen,
    SessionTable,
    session_key,
)


def _bind(table: SessionTable, session: str = "s", subject: str = "a") -> list[Step]:
    return table.bind(session, subject=subject, upstream="crm", route="r", version="2025-11-25")


def _stored(steps: list[Step]) -> dict[str, JsonObject | None]:
    return {step.key: step.value for step in steps if isinstance(step, Persist)}


def test_a_session_is_found_by_its_owner_alone() -> None:
    table = SessionTable()
    stored = _stored(_bind(table))
    assert list(stored) == [session_key("crm", "s")]
    assert "s" not in stored
    found = table.find("s", subject="a", upstream="crm", route="r")
    assert found is not None
    assert found.version == "2025-11-25"
    for changes in ({"subject": "b"}, {"upstream": "erp"}, {"route": "x"}):
        facts = {"subject": "a", "upstream": "crm", "route": "r", **changes}
        assert table.find("s", **facts) is None
    assert table.find("other", subject="a", upstream="crm", route="r") is None


def test_an_ended_session_is_gone_with_all_it_held() -> None:
    table = SessionTable()
    _bind(table)
    key = session_key("crm", "s")
    table.scope(key).passed(1, "ping")
    assert _stored(table.end(key)) == {key: None}
    assert table.end(key) == []
    assert table.scope(key).expected(1) is None


def test_sessions_are_bounded_and_the_oldest_goes() -> None:
    table = SessionTable(sessions_max=2)
    _bind(table, "s1")
    _bind(table, "s2")
    stored = _stored(_bind(table, "s3"))
    assert stored[session_key("crm", "s1")] is None
    assert table.find("s1", subject="a", upstream="crm", route="r") is None
    assert table.find("s3", subject="a", upstream="crm", route="r") is not None


def test_only_whole_objects_are_taken_up() -> None:
    before = SessionTable()
    stored = {key: value for key, value in _stored(_bind(before)).items() if value is not None}
    table = SessionTable()
    table.load({**stored, "broken": {"subject": "a"}, "odd": {"subject": 7}})
    assert table.find("s", subject="a", upstream="crm", route="r") is not None


def test_an_answer_fits_one_request_by_type_and_once() -> None:
    scope = Scope()
    scope.passed(1, "roots/list")
    assert (scope.expected(1), scope.expected("1"), scope.expected(2)) == ("roots/list", None, None)
    scope.answered(1)
    assert scope.expected(1) is None
    for id_ in range(300):
        scope.passed(id_, "ping")
    assert (scope.expected(0), scope.expected(299)) == (None, "ping")


class _Anything:
    """Something that lives as long as its request."""


def test_an_id_is_under_way_while_its_conversation_lives() -> None:
    scope = Scope()
    one, two = _Anything(), _Anything()
    assert scope.begin(1, one)
    assert not scope.begin(1, two)
    assert scope.begin("1", two)
    assert scope.is_in_flight(1)
    scope.finish(1)
    assert not scope.is_in_flight(1)
    assert scope.begin(1, one)
    del one
    assert scope.begin(1, two)


def _read(scope: Scope, kind: str = "tools", name: str = "a", *, whole: bool = True) -> Seen:
    """A list of one name, read by the client."""
    seen = scope.list_begins(kind)
    seen.judged(name, visible=True)
    seen.whole = whole
    scope.list_read(kind, seen)
    return seen


def test_a_list_counts_until_the_next_one_was_read() -> None:
    scope = Scope()
    old = _read(scope)
    fresh = scope.list_begins("tools")
    assert not fresh.knows("a")
    assert scope.seen("tools") is old
    fresh.whole = True
    scope.list_read("tools", fresh)
    assert scope.seen("tools") is fresh


def test_half_a_list_takes_the_place_of_no_good_one() -> None:
    scope = Scope()
    old = _read(scope)
    half = _read(scope, name="b", whole=False)
    assert (scope.seen("tools"), scope.list_goes_on("tools")) == (old, half)
    assert scope.names == 2
    half.whole = True
    scope.list_read("tools", half)
    assert (scope.seen("tools"), scope.list_goes_on("tools"), scope.names) == (half, half, 1)


def test_half_a_list_is_better_than_an_outdated_one() -> None:
    scope = Scope()
    _read(scope)
    scope.outdate("tools")
    half = _read(scope, whole=False)
    assert scope.seen("tools") is half


def test_two_that_read_at_once_for_the_sidecar_do_not_replace_each_other_s_half() -> None:
    scope = Scope()
    one, two = scope.list_begins("tools"), scope.list_begins("tools")
    scope.list_read("tools", one, own=True)
    scope.list_read("tools", two, own=True)
    assert scope.seen("tools") is one
    two.whole = True
    scope.list_read("tools", two, own=True)
    one.given_up_s = 1.0
    scope.list_read("tools", one, own=True)
    assert scope.seen("tools") is two
    assert scope.list_goes_on("tools") is two


def test_what_outdates_a_list_outdates_one_that_is_being_read_as_well() -> None:
    scope = Scope()
    fresh = scope.list_begins("tools")
    scope.outdate("tools")
    scope.list_read("tools", fresh)
    assert scope.is_outdated("tools", fresh)


def test_a_list_is_outdated_once_its_upstream_says_so_to_anybody() -> None:
    table = SessionTable()
    mine, theirs, other = (
        table.scope(("crm", "crm", "me")),
        table.scope(("crm", "crm", "them")),
        table.scope(("mail", "mail", "me")),
    )
    lists = [(scope, _read(scope)) for scope in (mine, theirs, other)]
    prompts = _read(mine, "prompts")
    table.list_changed("crm", "tools")
    assert [scope.is_outdated("tools", seen) for scope, seen in lists] == [True, True, False]
    assert not mine.is_outdated("prompts", prompts)
    assert not mine.is_outdated("tools", mine.list_begins("tools"))
    assert theirs.is_outdated("tools", lists[1][1])


def test_a_session_s_list_is_outdated_by_its_own_upstream_alone() -> None:
    table = SessionTable()
    table.bind("s-1", subject="me", upstream="crm", route="crm", version="2025-11-25")
    scope = table.scope(session_key("crm", "s-1"))
    seen = _read(scope)
    table.list_changed("mail", "tools")
    assert not scope.is_outdated("tools", seen)
    table.list_changed("crm", "tools")
    assert scope.is_outdated("tools", seen)


def test_one_client_s_list_can_be_outdated_for_it_alone() -> None:
    table = SessionTable()
    mine, theirs = table.scope(("crm", "crm", "me")), table.scope(("crm", "crm", "them"))
    seen, other = _read(mine), _read(theirs)
    mine.outdate("tools")
    mine.outdate("prompts")
    assert (mine.is_outdated("tools", seen), theirs.is_outdated("tools", other)) == (True, False)
    assert mine.seen("tools") is seen


def test_what_was_served_is_what_is_shown_and_trusted() -> None:
    seen = Seen()
    seen.judged("a", visible=True)
    seen.judged("b", visible=True, trusted=False)
    seen.judged("c", visible=False)
    assert seen.served == {"a"}
    seen.judged("b", visible=True)
    assert seen.served == {"a", "b"}
    assert SessionTable().known_scope(("crm", "crm", "me")) is None


def test_streams_are_found_by_the_events_they_sent() -> None:
    scope = Scope()
    stream = _Anything()
    scope.streamed("e1", stream)
    assert scope.stream_of("e1") is stream
    assert scope.stream_of("e2") is None


def test_handles_belong_to_a_subject_at_an_upstream() -> None:
    table = SessionTable()
    table.give_handle(subject="a", upstream="crm", handle="t")
    assert table.has_handle(subject="a", upstream="crm", handle="t")
    assert not table.has_handle(subject="b", upstream="crm", handle="t")
    assert not table.has_handle(subject="a", upstream="erp", handle="t")


def test_callers_without_a_session_share_nothing() -> None:
    table = SessionTable()
    scope = table.scope(("crm", "r", "a"))
    assert table.scope(("crm", "r", "a")) is scope
    for other in (("crm", "r", "b"), ("crm", "q", "a"), ("erp", "r", "a"), "a"):
        assert table.scope(other) is not scope


def test_what_was_used_last_stays() -> None:
    kept: Bounded[str, int] = Bounded(2)
    kept.put("a", 1)
    kept.put("b", 2)
    assert kept.get("a") == 1
    assert kept.put("c", 3) == ("b", 2)
    assert len(kept) == 2


def _listed(table: SessionTable, key: str, names: int) -> Scope:
    scope = table.scope(key)
    seen = scope.list_begins("tools")
    for number in range(names):
        seen.judged(f"tool_{number}", visible=number % 2 == 0)
    seen.whole = True
    scope.list_read("tools", seen)
    table.weigh(scope)
    return scope


def test_the_names_of_all_lists_together_are_bounded() -> None:
    table = SessionTable(names_max=25)
    first, _, third = (_listed(table, key, 10) for key in ("a", "b", "c"))
    assert table.scope("a") is not first
    assert table.scope("c") is third
    table.weigh(first)  # of one that is forgotten already nothing is reckoned
    _listed(table, "c", 2)
    fourth = _listed(table, "d", 10)
    assert (table.scope("c"), table.scope("d")) == (third, fourth)


def test_one_list_alone_is_bounded_too() -> None:
    seen = Seen()
    for number in range(NAMES_MAX):
        seen.judged(str(number), visible=True)
    assert not seen.is_full
    seen.judged("one more", visible=False)
    assert seen.is_full


def test_a_handle_stands_for_one_tool_s_call() -> None:
    table = SessionTable()
    whose = {"subject": "a", "upstream": "crm", "handle": "t"}
    assert table.give_handle(**whose, tool="read")
    assert table.give_handle(**whose, tool="read")
    assert not table.give_handle(**whose, tool="pay")
    assert table.tool_of(**whose) == "read"
    assert table.give_handle(**{**whose, "subject": "b"}, tool="pay")
    assert table.tool_of(**{**whose, "handle": "another"}) is None


def test_a_scope_keeps_so_many_kinds_of_lists_and_renews_those_it_has() -> None:
    scope = Scope()
    kinds = [f"kind-{number}" for number in range(16)]
    first = [_read(scope, kind) for kind in kinds]
    assert [scope.seen(kind) for kind in kinds] == first
    _read(scope, "one-too-many")
    assert scope.seen("one-too-many") is None
    again = _read(scope, "kind-3")
    assert again is not first[3]
    assert scope.seen("kind-3") is again
