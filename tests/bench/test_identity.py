import orjson
import pytest
from rich.console import Console

from tests.bench.identity import report
from tests.bench.identity.calling import Caller, Listeners
from tests.bench.identity.figures import RULES, Item, figure_of, missing
from tests.bench.identity.measures import (
    Effort,
    handshakes,
    listener,
    measure,
    revalidation,
    rotations,
)
from tests.bench.identity.world import a_world

LITTLE = Effort(rounds=1, revalidations=10, turns=2, connections=2, handshakes=2, rotations=20)


def test_every_item_has_a_rule():
    assert set(RULES) == set(Item)


@pytest.mark.parametrize(
    ("rounds", "met"),
    [
        pytest.param([11.0, 12.0, 13.0], True, id="at-the-limit"),
        pytest.param([11.0, 12.1, 13.0], False, id="near-miss"),
    ],
)
def test_a_bar_is_read_by_the_median(rounds, met):
    assert figure_of(Item.REQUEST, rounds, "").is_met is met


def test_what_has_no_bar_is_never_missed():
    assert figure_of(Item.REQUEST_OWN, [1e9], "").is_met
    assert Item.REQUEST_OWN not in missing([])


def test_a_bar_that_was_not_measured_is_missed():
    figures = [figure_of(item, [0.0], "") for item in Item if item is not Item.REVALIDATION]
    assert missing(figures) == [Item.REVALIDATION]
    assert not report.is_passed(figures)
    assert report.is_passed([*figures, figure_of(Item.REVALIDATION, [1.0], "")])


def test_a_peer_of_a_handshake_is_revalidated():
    assert revalidation(a_world(), LITTLE).value > 0


def test_each_side_of_a_handshake_has_its_price():
    server, client = handshakes(a_world(), LITTLE)
    assert (server.item, client.item) == (Item.HANDSHAKE_SERVER, Item.HANDSHAKE_CLIENT)
    assert server.value > 0
    assert client.value > 0


def test_rotations_leave_no_descriptor_behind():
    _, descriptors = rotations(LITTLE)
    assert descriptors.value == 0


def test_all_three_listeners_answer_and_are_ended(tmp_path):
    with Listeners(tmp_path) as listeners:
        for connect in (listeners.plain, listeners.bare, listeners.mtls):
            with connect() as caller:
                assert caller.get() == b"x" * 1024
                assert caller.spent_us() > 0
        port = listeners._plain
    with pytest.raises(OSError, match="refused"):
        Caller(port, None)


def test_without_a_certificate_nobody_is_answered(tmp_path):
    with (
        Listeners(tmp_path) as listeners,
        Caller(listeners._mtls, None) as caller,
        pytest.raises(OSError, match=r"closed|reset"),
    ):
        caller.get()


def test_the_whole_of_it_is_measured_and_written(tmp_path):
    figures = measure(LITTLE, lambda _: None)
    assert missing(figures) == []
    assert [figure.item for figure in figures] == list(Item)
    report.write_json(figures, tmp_path / "build" / "identity.json")
    rows = orjson.loads((tmp_path / "build" / "identity.json").read_bytes())
    assert [row["item"] for row in rows] == [item.value for item in Item]
    console = Console(width=132, record=True)
    report.print_report(figures, console, notes={"machine": "this one"})
    assert "revalidation of a live peer" in console.export_text()


def test_the_listeners_are_asked_in_turns():
    found = {figure.item for figure in listener(LITTLE)}
    assert found == {Item.REQUEST, Item.REQUEST_OWN, Item.CONNECTION, Item.CONNECTION_OWN}
