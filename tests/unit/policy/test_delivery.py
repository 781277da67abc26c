"""Delivery in virtual time: outages, staleness, refusals, and who is asked how often."""

import asyncio
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

import pytest

from outrider.config.paths import shipped_rego
from outrider.core.errors import ConfigError, EnforcementError
from outrider.core.vocabulary import Reason
from outrider.policy.delivery import Delivery, Pace
from outrider.policy.gate import shipped_gate
from outrider.policy.keeper import NotServedError, PolicyKeeper
from outrider.policy.ledger import SequenceLedger
from outrider.policy.policy_source import PolicySource
from outrider.policy.shelf import Shelf
from outrider.policy.sources.origin import Fetched, FetchError
from outrider.policy.trust import Trust
from tests.support.bundles import SCOPE, a_bundle, a_signing_key
from tests.support.policy import ENTRYPOINT, FixedEngine, answers, write_tree
from tests.support.virtual import PatientThreads, in_virtual_time, now_s

KEY = a_signing_key()
GATE = shipped_gate(shipped_rego(), ENTRYPOINT)
START_UNIX_S = 1_000_000.0


class LoopClock:
    """Both clocks go with the loop; `ahead_s` is how far the wall's was set."""

    def __init__(self, unix_s=START_UNIX_S):
        self.start_unix_s = unix_s

    def monotonic_s(self):
        return now_s()

    def unix_s(self):
        return self.start_unix_s + now_s()

    def monotonic_ns(self):
        return int(now_s() * 1e9)


@dataclass
class FixedOrigin:
    """Holds `content`; raises it where it is an exception; never answers where it is None."""

    content: object = b""
    etags: bool = True
    asked: list = field(default_factory=list)
    name: str = "https://p.test/b"

    async def fetch(self, etag):
        self.asked.append((now_s(), etag))
        if self.content is None:
            await asyncio.Event().wait()
        if isinstance(self.content, Exception):
            raise self.content
        tag = f'"{hash(self.content)}"' if self.etags else ""
        return None if tag and tag == etag else Fetched(content=self.content, etag=tag)


@dataclass
class LateEngine(FixedEngine):
    """Activates nothing while it is `late`."""

    late: bool = False

    async def activate(self, release):
        if self.late:
            raise NotServedError("OPA is late")
        return await super().activate(release)


@dataclass
class Rig:
    origin: FixedOrigin
    keeper: PolicyKeeper
    delivery: Delivery
    engine: LateEngine
    downloads: list
    refused: list

    def reason(self):
        try:
            self.keeper.active()
        except EnforcementError as fault:
            return fault.reason
        return None

    async def after(self, seconds):
        await asyncio.sleep(seconds)


def a_rig(room, content=None, *, overlay=None, max_staleness_s=3600, clock=None, **pace):
    asyncio.get_running_loop().set_default_executor(PatientThreads())
    clock = clock or LoopClock()
    engine = LateEngine([answers(False)])
    downloads, refused = [], []
    keeper = PolicyKeeper(
        source=PolicySource(
            path=None,
            overlays=(overlay,) if overlay else (),
            trust=Trust(keys=lambda: {KEY.id: KEY.verifying}, scope=SCOPE),
        ),
        engine=engine,
        gate=GATE,
        clock=clock,
        entrypoint=ENTRYPOINT,
        max_staleness_s=max_staleness_s,
        ledger=SequenceLedger(room),
        on_refused=refused.append,
    )
    origin = FixedOrigin(content)
    delivery = Delivery(
        origin=origin,
        keeper=keeper,
        shelf=Shelf(room),
        clock=clock,
        pace=Pace(**pace),
        downloads_failed=lambda: downloads.append(now_s()),
        random=Random(1),  # noqa: S311 - the same pauses each time
    )
    return Rig(origin, keeper, delivery, engine, downloads, refused)


def during(rig, work):
    """`work` while the delivery runs."""

    async def both():
        async with asyncio.TaskGroup() as group:
            job = group.create_task(rig.delivery.run())
            try:
                return await work()
            finally:
                job.cancel()

    return both()


ONE, TWO = a_bundle(sequence=1), a_bundle(sequence=2, revision="r2")
DOWN = FetchError("the server could not be reached")


def test_a_source_that_says_nothing_new_confirms(tmp_path):
    async def play():
        rig = a_rig(tmp_path, ONE)
        await rig.delivery.begin()
        await during(rig, lambda: rig.after(36_000))
        assert rig.reason() is None
        assert rig.keeper.status().age_s < 80
        assert len(rig.engine.activated) == 1
        assert 400 < len(rig.origin.asked) < 800  # an hour has some sixty looks, spread
        assert all(etag for _, etag in rig.origin.asked[1:])

    in_virtual_time(play())


def test_without_etags_the_same_bytes_confirm_and_are_not_loaded_again(tmp_path):
    async def play():
        rig = a_rig(tmp_path, ONE)
        rig.origin.etags = False
        await rig.delivery.begin()
        await during(rig, lambda: rig.after(600))
        assert rig.keeper.status().age_s < 80
        assert len(rig.engine.activated) == 1

    in_virtual_time(play())


def test_past_its_staleness_policy_denies_and_recovers_with_its_source(tmp_path):
    async def play():
        rig = a_rig(tmp_path, ONE, max_staleness_s=3600)
        await rig.delivery.begin()
        rig.origin.content = DOWN

        async def outage():
            await rig.after(3599)
            assert rig.reason() is None
            await rig.after(2)
            assert rig.reason() is Reason.POLICY_STALE
            assert rig.keeper.status().stale
            await rig.after(86_400)
            assert rig.reason() is Reason.POLICY_STALE
            rig.origin.content = ONE
            await rig.after(61)
            assert rig.reason() is None

        await during(rig, outage)
        assert len(rig.engine.activated) == 1

    in_virtual_time(play())


def test_who_is_down_is_asked_soon_then_ever_less_soon(tmp_path):
    async def play():
        rig = a_rig(tmp_path, ONE, poll_s=60)
        await rig.delivery.begin()
        rig.origin.content = DOWN
        await during(rig, lambda: rig.after(600))
        times = [at for at, _ in rig.origin.asked[1:]]
        pauses = [later - sooner for sooner, later in pairwise(times)]
        assert pauses[0] <= 1
        assert max(pauses) <= 60
        assert all(pause >= 30 for pause in pauses[7:])
        assert len(rig.downloads) == len(times)

    in_virtual_time(play())


def test_a_source_that_never_answers_is_left_after_its_time(tmp_path):
    async def play():
        rig = a_rig(tmp_path, None, timeout_s=30)
        with pytest.raises(ConfigError, match="no answer within 5 s"):
            await rig.delivery.begin()
        assert now_s() == 5
        with pytest.raises(ConfigError, match="no answer within 30 s"):
            await rig.delivery.look()
        assert now_s() == 35
        assert rig.reason() is Reason.POLICY_UNAVAILABLE

    in_virtual_time(play())


def test_a_first_policy_comes_as_soon_as_its_source_does(tmp_path):
    async def play():
        rig = a_rig(tmp_path, DOWN)
        with pytest.raises(FetchError):
            await rig.delivery.begin()

        async def wait():
            await rig.after(100)
            rig.origin.content = ONE
            await rig.after(60)
            assert rig.reason() is None

        await during(rig, wait)

    in_virtual_time(play())


BAD = {
    "not-signed-by-ours": (a_bundle(key=a_signing_key(id="x"), sequence=2), "verify"),
    "older": (a_bundle(sequence=0), "verify"),
    "without-a-sequence": (a_bundle(sequence=None), "verify"),
    "not-a-bundle": (b"<html>", "activate"),
    "a-rule-that-does-not-parse": (a_bundle("package outrider\nx :=", sequence=2), "activate"),
    "no-entry-point": (a_bundle("package outrider\nx := 1\n", sequence=2), "activate"),
}


@pytest.mark.parametrize(("content", "stage"), BAD.values(), ids=BAD)
def test_a_bad_bundle_keeps_the_last_good_one_and_confirms_nothing(tmp_path, content, stage):
    async def play():
        rig = a_rig(tmp_path, ONE)
        await rig.delivery.begin()
        rig.origin.content = content

        async def wait():
            await rig.after(300)
            assert rig.reason() is None
            assert rig.keeper.status().revision == "r1"
            assert rig.refused == [stage]  # known by its ETag, not tried each time
            await rig.after(3600)
            assert rig.reason() is Reason.POLICY_STALE
            assert 5 < len(rig.refused) < 9
            rig.origin.content = ONE
            await rig.after(61)
            assert rig.reason() is None

        await during(rig, wait)

    in_virtual_time(play())


def test_an_operator_has_what_was_refused_tried_at_once(tmp_path):
    async def play():
        overlay = write_tree(tmp_path / "over", {"outrider/data.yaml": "a: yes\n"})
        rig = a_rig(tmp_path, ONE, overlay=overlay)
        with pytest.raises(ConfigError, match="read in two ways"):
            await rig.delivery.begin()
        write_tree(tmp_path / "over", {"outrider/data.yaml": "a: 'yes'\n"})
        with pytest.raises(ConfigError, match="read in two ways"):
            await rig.delivery.look()
        assert await rig.delivery.look(anew=True)
        assert rig.reason() is None

    in_virtual_time(play())


def test_what_the_engine_does_not_serve_yet_is_tried_again(tmp_path):
    async def play():
        rig = a_rig(tmp_path, ONE)
        await rig.delivery.begin()
        rig.engine.late = True
        rig.origin.content = TWO
        for _ in range(2):
            with pytest.raises(NotServedError):
                await rig.delivery.look()
        rig.engine.late = False
        assert await rig.delivery.look()
        assert rig.keeper.status().revision == "r2"

    in_virtual_time(play())


def test_a_restart_without_a_source_makes_nothing_fresher(tmp_path):
    async def first():
        rig = a_rig(tmp_path, ONE)
        await rig.delivery.begin()

    in_virtual_time(first())

    async def soon():
        rig = a_rig(tmp_path, DOWN, clock=LoopClock(START_UNIX_S + 3000))
        await rig.delivery.begin()
        assert rig.reason() is None
        assert rig.keeper.status().confirmed_unix_s == START_UNIX_S
        await rig.after(601)
        assert rig.reason() is Reason.POLICY_STALE
        rig.origin.content = ONE
        await rig.delivery.look()
        assert rig.origin.asked[-1][1]
        assert rig.reason() is None

    in_virtual_time(soon())

    async def late():
        rig = a_rig(tmp_path, DOWN, clock=LoopClock(START_UNIX_S + 90_000))
        await rig.delivery.begin()
        assert rig.reason() is Reason.POLICY_STALE

    in_virtual_time(late())


@pytest.mark.parametrize(("ahead_s", "reason"), [(200, None), (400, Reason.POLICY_STALE)])
def test_a_confirmation_to_come_is_none(tmp_path, ahead_s, reason):
    async def first():
        await a_rig(tmp_path, ONE).delivery.begin()

    in_virtual_time(first())

    async def before():
        rig = a_rig(tmp_path, DOWN, clock=LoopClock(START_UNIX_S - ahead_s))
        await rig.delivery.begin()
        assert rig.reason() is reason

    in_virtual_time(before())


def test_a_start_meets_a_bad_bundle_with_the_last_good_one(tmp_path):
    async def first():
        await a_rig(tmp_path, ONE).delivery.begin()

    in_virtual_time(first())

    async def again():
        rig = a_rig(tmp_path, a_bundle(sequence=0))
        await rig.delivery.begin()
        assert rig.keeper.status().sequence == 1
        with pytest.raises(ConfigError, match="older than 1"):
            await rig.delivery.look()

    in_virtual_time(again())


def test_what_was_kept_is_verified_anew(tmp_path):
    async def first():
        await a_rig(tmp_path, ONE).delivery.begin()

    in_virtual_time(first())
    SequenceLedger(tmp_path).allow(7)

    async def again():
        rig = a_rig(tmp_path, DOWN)
        with pytest.raises(ConfigError, match="older than 7"):
            await rig.delivery.begin()
        assert rig.reason() is Reason.POLICY_UNAVAILABLE

    in_virtual_time(again())


def test_a_shelf_that_cannot_be_written_stops_nothing(tmp_path):
    async def play():
        rig = a_rig(tmp_path, ONE)
        (tmp_path / "bundle.tar.gz.part").mkdir()
        await rig.delivery.begin()
        assert rig.reason() is None

    in_virtual_time(play())


def test_what_cannot_be_remembered_is_not_put_in_force(tmp_path):
    async def play():
        rig = a_rig(tmp_path, ONE)
        (tmp_path / "sequence.json.part").mkdir()
        with pytest.raises(ConfigError, match="cannot be written"):
            await rig.delivery.begin()
        assert rig.reason() is Reason.POLICY_UNAVAILABLE

    in_virtual_time(play())


def test_settings_that_change_leave_the_bundle_and_its_age(tmp_path):
    async def play():
        rig = a_rig(tmp_path, ONE)
        await rig.delivery.begin()
        await rig.after(100)
        overlay = write_tree(tmp_path / "over", {"outrider/data.yaml": "a: 1\n"})
        source = PolicySource(path=None, overlays=(overlay,), trust=rig.keeper.source.trust)
        assert await rig.keeper.reload(source)
        assert rig.keeper.release().data["outrider"]["a"] == 1
        assert rig.keeper.release().signed.key == KEY.id

    in_virtual_time(play())


def test_pauses_are_spread_and_bounded():
    random = Random(7)  # noqa: S311 - likewise
    pace = Pace(poll_s=60)
    usual = [pace.pause_s(0, random) for _ in range(200)]
    assert (45 <= min(usual) < 50, 70 < max(usual) <= 75) == (True, True)
    assert max(pace.pause_s(10**9, random) for _ in range(50)) <= 60
