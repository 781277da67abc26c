"""What is remembered beyond a task."""

import orjson
import pytest

from outrider.core.vocabulary import ActionEffect
from outrider.stores.tables import STATE_BYTES
from outrider.tasks import history
from outrider.tasks.behaviour.document import SATURATED
from outrider.tasks.history import History, HistoryCodec

DAY_S = 86_400
NOW_S = 40 * DAY_S


def as_told(kept: History) -> dict[str, object]:
    return {name: getattr(kept, name) for name in History.__slots__}


def test_what_is_written_is_read_again() -> None:
    kept = History()
    history.pay(kept, ["p"], 5, NOW_S)
    history.make(kept, ["m"], NOW_S)
    read = HistoryCodec().decode(HistoryCodec().encode(kept), NOW_S)
    assert as_told(read) == as_told(kept)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="no-object"),
        pytest.param(b"{", id="torn"),
        pytest.param(orjson.dumps(as_told(History()) | {"paid": []}), id="wrong-type"),
    ],
)
def test_a_past_that_is_lost_is_taken_for_the_worst(data: bytes) -> None:
    kept = HistoryCodec().decode(data, NOW_S)
    assert history.was_seen(kept, "d", NOW_S // 3600) is False
    assert history.pay(kept, ["p"], 1, NOW_S) == SATURATED
    assert history.age_of(kept, ["m"], NOW_S) == 0
    assert history.rejections(kept, "aim", NOW_S) >= 2
    assert history.pay(kept, ["p"], 1, NOW_S + DAY_S) == 1
    assert history.age_of(kept, ["m"], NOW_S + DAY_S) is None


def test_a_destination_is_new_again_after_thirty_days() -> None:
    kept = History()
    history.see(kept, "d", 1000)
    assert history.was_seen(kept, "d", 1000 + 30 * 24 - 1) is True
    assert history.was_seen(kept, "d", 1000 + 30 * 24) is False


def test_a_use_is_noted_once_a_day() -> None:
    kept = History()
    assert history.needs_seeing(kept, "d", 1000) is True
    history.see(kept, "d", 1000)
    assert history.needs_seeing(kept, "d", 1023) is False
    assert history.needs_seeing(kept, "d", 1024) is True


def test_the_destination_used_longest_ago_makes_room() -> None:
    kept = History()
    for number in range(history.SEEN // history.SHARDS):
        history.see(kept, str(number), 1000)
    history.see(kept, "0", 1001)
    history.see(kept, "one-more", 1001)
    assert [history.was_seen(kept, one, 1001) for one in ("0", "1", "one-more")] == [
        True,
        False,
        True,
    ]


def test_uses_are_bounded() -> None:
    kept = History()
    for number in range(history.USES + 5):
        history.used(kept, history.use_of(str(number), ActionEffect.READ), 1)
    assert len(kept.uses) == history.USES


def test_a_tool_with_another_effect_is_another_use() -> None:
    assert history.use_of("a/b", ActionEffect.READ) != history.use_of("a/b", ActionEffect.WRITE)


@pytest.mark.parametrize(
    ("later_s", "summed"),
    [
        pytest.param(0, 30, id="at-once"),
        pytest.param(DAY_S - 1, 30, id="within-a-day"),
        pytest.param(DAY_S + 3600, 20, id="a-day-and-its-last-hour-later"),
    ],
)
def test_a_payee_is_summed_over_a_day(later_s: int, summed: int) -> None:
    kept = History()
    history.pay(kept, ["p"], 10, NOW_S)
    assert history.pay(kept, ["p"], 20, NOW_S + later_s) == summed


def test_another_payee_has_another_sum() -> None:
    kept = History()
    history.pay(kept, ["p"], 10, NOW_S)
    assert history.pay(kept, ["q"], 20, NOW_S) == 20


def test_the_largest_sum_of_several_payees_is_told() -> None:
    kept = History()
    history.pay(kept, ["p"], 10, NOW_S)
    assert history.pay(kept, ["q", "p"], 5, NOW_S) == 15


def test_a_payment_that_was_not_made_is_taken_off() -> None:
    kept = History()
    history.pay(kept, ["p"], 10, NOW_S)
    history.unpay(kept, ["p", "never-paid"], 10, NOW_S)
    assert history.pay(kept, ["p"], 1, NOW_S) == 1


def test_an_amount_that_cannot_be_read_is_over_any_limit() -> None:
    assert history.pay(History(), ["p"], None, NOW_S) == SATURATED


def test_a_payee_without_room_is_over_any_limit_until_others_are_old() -> None:
    kept = History()
    for number in range(history.PAYEES):
        history.pay(kept, [str(number)], 1, NOW_S)
    assert history.pay(kept, ["one-more"], 1, NOW_S) == SATURATED
    assert history.pay(kept, ["one-more"], 1, NOW_S + 2 * DAY_S) == 1


def test_the_youngest_of_several_destinations_is_told() -> None:
    kept = History()
    history.make(kept, ["old"], NOW_S - 500)
    history.make(kept, ["young"], NOW_S - 20)
    history.make(kept, ["young"], NOW_S)
    assert history.age_of(kept, ["old", "young", "other"], NOW_S) == 20
    assert history.age_of(kept, ["other"], NOW_S) is None


def test_what_was_created_is_bounded_in_number_and_time() -> None:
    kept = History()
    for number in range(history.MADE + 5):
        history.make(kept, [str(number)], NOW_S + number)
    assert len(kept.made) == history.MADE
    assert history.age_of(kept, ["0"], NOW_S) is None
    assert history.age_of(kept, [str(history.MADE)], NOW_S + 8 * DAY_S) is None


def test_rejections_count_for_an_hour() -> None:
    kept = History()
    for second in (0, 10, 3600):
        history.reject(kept, "aim", NOW_S + second)
    assert history.rejections(kept, "aim", NOW_S + 3600) == 2
    assert history.rejections(kept, "other", NOW_S + 3600) == 0
    assert history.rejections(kept, None, NOW_S) == 0


def test_rejections_are_bounded() -> None:
    kept = History()
    for number in range(history.REJECTED + 5):
        history.reject(kept, str(number), NOW_S)
    assert len(kept.rejected) == history.REJECTED


def test_a_consent_address_is_its_agents_own() -> None:
    kept = History()
    history.consent_seen(kept, ["u"], "a", NOW_S)
    assert history.others_consent(kept, ["u"], "a", NOW_S) is False
    assert history.others_consent(kept, ["u"], "b", NOW_S) is True
    assert history.others_consent(kept, ["v"], "b", NOW_S) is False
    assert history.others_consent(kept, ["u"], "b", NOW_S + DAY_S) is False
    history.consent_seen(kept, ["u"], "b", NOW_S)
    assert history.others_consent(kept, ["u"], "a", NOW_S) is True


def test_consent_addresses_are_bounded() -> None:
    kept = History()
    history.consent_seen(kept, [str(number) for number in range(300)], "a", NOW_S)
    assert len(kept.consents) == history.CONSENTS


def test_an_identity_that_speaks_from_two_places_is_told() -> None:
    kept = History()
    assert history.meet(kept, "one", NOW_S) == 1
    assert history.instances(kept, "two", NOW_S + 59) == 2
    assert history.meet(kept, "two", NOW_S + 60) == 1
    assert history.needs_meeting(kept, "two", NOW_S + 69) is False
    assert history.needs_meeting(kept, "two", NOW_S + 70) is True


def test_instances_are_bounded() -> None:
    kept = History()
    found = [history.meet(kept, str(number), NOW_S) for number in range(30)]
    assert max(found) == history.INSTANCES


def test_a_past_whose_every_set_is_full_is_one_value_of_a_store() -> None:
    kept, hours = History(), range(history.DAY_H + 2)
    kept.uses = {f"{at:020}": NOW_S for at in range(history.USES)}
    kept.paid = {
        f"{at:020}": [SATURATED, *[one for hour in hours for one in (NOW_S // 3600 + hour, 10**13)]]
        for at in range(history.PAYEES)
    }
    kept.made = {f"{at:020}": NOW_S for at in range(history.MADE)}
    kept.rejected = {f"{at:020}": [NOW_S] * history.REJECTIONS for at in range(history.REJECTED)}
    shard, others = History(), History()
    shard.seen = {f"{at:020}": NOW_S // 3600 for at in range(history.SEEN // history.SHARDS)}
    others.consents = {f"{at:020}": [NOW_S, "x" * 20] for at in range(history.CONSENTS)}
    others.instances = {f"{at:020}": NOW_S for at in range(history.INSTANCES)}
    sizes = [len(HistoryCodec().encode(one)) for one in (kept, shard, others)]
    assert max(sizes) <= STATE_BYTES
    assert sizes[1] <= 80 * 1024
