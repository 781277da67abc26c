"""The keeper: a release that fails anywhere changes nothing; nothing activated refuses all."""

import asyncio
from pathlib import Path

import pytest

from outrider.config.paths import shipped_rego
from outrider.core.errors import ConfigError, EnforcementError
from outrider.core.vocabulary import Reason
from outrider.policy.engines.embedded import EmbeddedEngine
from outrider.policy.gate import shipped_gate
from outrider.policy.keeper import NotServedError, PolicyKeeper
from outrider.policy.ledger import SequenceLedger
from outrider.policy.policy_source import PolicySource
from outrider.policy.trust import Trust
from tests.support.builders import FixedClock
from tests.support.bundles import SCOPE, a_bundle, a_signing_key, signed
from tests.support.opa import until
from tests.support.policy import (
    ALLOW_ALL,
    DENY_ALL,
    ENTRYPOINT,
    BrokenEngine,
    FixedEngine,
    answers,
    fails,
    write_tree,
)

SHIPPED = shipped_rego()
GATE = shipped_gate(SHIPPED, ENTRYPOINT)


def a_keeper(path, *, engine=None, clock=None, max_staleness_s=0, overlays=(), rehearsal=None):
    clock = clock or FixedClock()
    return PolicyKeeper(
        source=PolicySource(path=path, overlays=tuple(overlays), hosts={"crm": "crm.internal:443"}),
        engine=engine or EmbeddedEngine(clock=clock, entrypoint=ENTRYPOINT),
        gate=GATE,
        clock=clock,
        entrypoint=ENTRYPOINT,
        max_staleness_s=max_staleness_s,
        rehearsal=rehearsal,
    )


def refused(keeper):
    with pytest.raises(EnforcementError) as fault:
        keeper.active()
    return fault.value.reason


async def test_nothing_activated_refuses_all(tmp_path):
    assert refused(a_keeper(tmp_path)) is Reason.POLICY_UNAVAILABLE


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({}, id="empty"),
        pytest.param({"outrider/data.yaml": "a: 1\n"}, id="data-alone"),
        pytest.param({"outrider/x.rego": "package outrider\n\nx := 1\n"}, id="no-entry-point"),
        pytest.param({"outrider/x.rego": "package outrider\n\nx :=\n"}, id="does-not-parse"),
        pytest.param(
            {"outrider/x.rego": "package outrider\n\ndecision := input.nobody\n"}, id="the-gate"
        ),
        pytest.param(
            {"outrider/x.rego": 'package outrider\n\ndecision := {"allowed": true}\n'},
            id="no-decision-object",
        ),
        pytest.param(
            {"outrider/x.rego": "package outrider\n\ndecision := 1 / 0\n"}, id="fails-always"
        ),
    ],
)
async def test_P02_an_empty_or_broken_release_leaves_everything_refused_and_recovers(
    tmp_path, files
):
    keeper = a_keeper(write_tree(tmp_path, files))
    with pytest.raises(ConfigError):
        await keeper.reload()
    assert refused(keeper) is Reason.POLICY_UNAVAILABLE
    assert keeper.status().last_error
    for name in files:
        (tmp_path / name).unlink()
    write_tree(tmp_path, {"outrider/main.rego": DENY_ALL})
    assert await keeper.reload()
    assert keeper.active().revision == keeper.status().revision
    assert keeper.status().last_error is None


async def test_before_anything_is_activated_there_is_no_release(tmp_path):
    with pytest.raises(EnforcementError) as fault:
        a_keeper(tmp_path).release()
    assert fault.value.reason is Reason.POLICY_UNAVAILABLE


async def test_a_bad_release_keeps_the_last_good_one(tmp_path):
    keeper = a_keeper(write_tree(tmp_path, {"outrider/main.rego": ALLOW_ALL}))
    await keeper.reload()
    before = keeper.active()
    write_tree(tmp_path, {"outrider/main.rego": "package outrider\n\ndecision := nobody\n"})
    with pytest.raises(ConfigError, match="nobody is not known"):
        await keeper.reload()
    assert keeper.active() is before
    assert keeper.release().revision == before.revision


async def test_the_same_content_is_not_activated_twice(tmp_path):
    engine = FixedEngine([answers(False)])
    keeper = a_keeper(write_tree(tmp_path, {"outrider/main.rego": ALLOW_ALL}), engine=engine)
    assert await keeper.reload()
    assert not await keeper.reload()
    assert len(engine.activated) == 1


async def test_a_release_that_fails_its_canary_is_taken_back(tmp_path):
    engine = FixedEngine([answers(False)])
    keeper = a_keeper(write_tree(tmp_path, {"outrider/main.rego": ALLOW_ALL}), engine=engine)
    await keeper.reload()
    good = keeper.active().revision
    engine.answers = [fails(Reason.POLICY_ERROR)]
    write_tree(tmp_path, {"outrider/main.rego": DENY_ALL})
    with pytest.raises(ConfigError, match="no usable decision"):
        await keeper.reload()
    assert keeper.active().revision == good
    assert engine.activated[-1] == good


async def test_an_engine_is_never_given_a_release_that_failed_its_rehearsal(tmp_path):
    engine, rehearsal = FixedEngine([answers(False)]), FixedEngine([fails(Reason.POLICY_ERROR)])
    tree = write_tree(tmp_path, {"outrider/main.rego": ALLOW_ALL})
    keeper = a_keeper(tree, engine=engine, rehearsal=rehearsal)
    with pytest.raises(ConfigError, match="no usable decision"):
        await keeper.reload()
    assert (len(rehearsal.activated), engine.activated) == (1, [])
    rehearsal.answers = [answers(False)]
    assert await keeper.reload()
    assert len(engine.activated) == 1


async def test_an_engine_that_activates_nothing_leaves_everything_refused(tmp_path):
    keeper = a_keeper(
        write_tree(tmp_path, {"outrider/main.rego": ALLOW_ALL}), engine=BrokenEngine()
    )
    with pytest.raises(ConfigError, match="broken on purpose"):
        await keeper.reload()
    assert refused(keeper) is Reason.POLICY_UNAVAILABLE


FIXTURE = "subject: {properties: {status: active}}\ncontext: {task: {id: t}}\n"
STRICT = """package outrider

default decision := false

decision if {
	input.subject.properties.status == "active"
	input.context.task.id == "t"
}
"""


@pytest.mark.parametrize(
    ("module", "told"),
    [
        pytest.param(STRICT, None, id="right"),
        pytest.param(ALLOW_ALL, "does not deny an unknown agent", id="allows-anybody"),
        pytest.param(DENY_ALL, "allows none of its own fixtures", id="allows-nobody"),
    ],
)
async def test_a_release_with_fixtures_must_deny_a_stranger_and_allow_a_fixture(
    tmp_path, module, told
):
    files = {"outrider/main.rego": module, "fixtures/a.yaml": FIXTURE}
    keeper = a_keeper(write_tree(tmp_path, files))
    if told is None:
        assert await keeper.reload()
        assert not keeper.status().permissive
        return
    with pytest.raises(ConfigError, match=told):
        await keeper.reload()


async def test_ones_own_release_may_allow_all_and_says_so(tmp_path):
    keeper = a_keeper(write_tree(tmp_path, {"outrider/main.rego": ALLOW_ALL}))
    await keeper.reload()
    assert keeper.status().permissive


async def test_the_shipped_library_is_activated():
    clock = FixedClock()  # a clock that stands: a busy machine must not fail the timing law
    keeper = a_keeper(SHIPPED, clock=clock)
    await keeper.reload()
    status = keeper.status()
    assert (status.engine, status.permissive) == ("embedded", False)
    assert status.modules > 10
    assert keeper.active().manifest.hosts == {"crm": "crm.internal:443"}


async def test_those_who_asked_are_told_of_each_swap(tmp_path):
    keeper = a_keeper(write_tree(tmp_path, {"outrider/main.rego": ALLOW_ALL}))
    told = []
    keeper.tell(told.append)
    await keeper.reload()
    await keeper.reload()
    assert told == [keeper.active()]


async def test_a_policy_unconfirmed_for_too_long_is_stale(tmp_path):
    clock = FixedClock()
    root = write_tree(tmp_path, {"outrider/main.rego": ALLOW_ALL})
    keeper = a_keeper(root, clock=clock, max_staleness_s=60)
    await keeper.reload()
    clock.pass_s(60)
    assert keeper.active()
    clock.pass_s(1)
    assert refused(keeper) is Reason.POLICY_STALE
    keeper.confirm()
    assert keeper.active()


async def test_other_settings_change_the_source(tmp_path):
    one = write_tree(tmp_path / "one", {"outrider/main.rego": ALLOW_ALL})
    two = write_tree(tmp_path / "two", {"outrider/main.rego": DENY_ALL})
    keeper = a_keeper(one)
    await keeper.reload()
    assert await keeper.reload(PolicySource(path=two))
    with pytest.raises(ConfigError, match="nowhere"):
        await keeper.reload(PolicySource(path=tmp_path / "nowhere"))
    assert not await keeper.reload()
    assert keeper.active().revision == keeper.release().revision


async def test_the_same_content_for_other_hosts_is_another_manifest(tmp_path):
    root = write_tree(tmp_path, {"outrider/main.rego": ALLOW_ALL})
    keeper = a_keeper(root)
    await keeper.reload()
    assert await keeper.reload(PolicySource(path=root, hosts={"crm": "other:1"}))
    assert keeper.active().manifest.hosts == {"crm": "other:1"}


async def test_files_that_change_are_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr("outrider.policy.keeper.POLL_S", 0.01)
    monkeypatch.setattr("outrider.policy.keeper._SETTLING_S", 0.01)
    keeper = a_keeper(write_tree(tmp_path, {"outrider/main.rego": ALLOW_ALL}))
    await keeper.reload()
    first = keeper.active().revision
    swapped = asyncio.Event()
    keeper.tell(lambda policy: swapped.set())
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        watching = group.create_task(keeper.watch())
        write_tree(tmp_path, {"outrider/main.rego": "package outrider\n\ndecision := \n"})
        while keeper.status().last_error is None:  # noqa: ASYNC110 - it is told nowhere else
            await asyncio.sleep(0.01)
        assert keeper.active().revision == first
        write_tree(tmp_path, {"outrider/main.rego": DENY_ALL})
        await swapped.wait()
        watching.cancel()
    assert keeper.active().revision != first
    assert keeper.status().last_error is None


class LateEngine(EmbeddedEngine):
    """An engine of others: it serves what they have given it, which may be later or earlier."""

    def __init__(self):
        super().__init__(clock=FixedClock(), entrypoint=ENTRYPOINT)
        self.serves = None
        self.asked = []

    async def activate(self, release):
        self.asked.append(release.revision)
        if self.serves is not None and release.revision != self.serves:
            raise NotServedError(f"serves {self.serves}, not {release.revision}")
        return await super().activate(release)


async def test_what_others_serve_later_than_we_have_it_is_in_force_once_they_do(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("outrider.policy.keeper.POLL_S", 0.01)
    engine = LateEngine()
    keeper = a_keeper(write_tree(tmp_path, {"outrider/main.rego": ALLOW_ALL}), engine=engine)
    await keeper.reload()
    first = engine.serves = keeper.active().revision
    swapped = asyncio.Event()
    keeper.tell(lambda policy: swapped.set())
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        watching = group.create_task(keeper.watch())
        write_tree(tmp_path, {"outrider/main.rego": DENY_ALL})
        await until(lambda: len(set(engine.asked)) > 1)
        tried = len(engine.asked)
        await until(lambda: len(engine.asked) > tried + 2)  # again, with no file changed
        assert keeper.active().revision == first
        engine.serves = next(one for one in engine.asked if one != first)
        await swapped.wait()
        watching.cancel()
    assert keeper.active().revision == engine.serves
    assert keeper.status().last_error is None


async def test_of_an_engine_that_serves_neither_the_first_fault_is_told(tmp_path):
    engine = LateEngine()
    keeper = a_keeper(write_tree(tmp_path, {"outrider/main.rego": ALLOW_ALL}), engine=engine)
    await keeper.reload()
    first, engine.serves = keeper.active().revision, "other"
    write_tree(tmp_path, {"outrider/main.rego": DENY_ALL})
    with pytest.raises(NotServedError) as fault:
        await keeper.reload()
    assert first not in str(fault.value)
    assert keeper.active().revision == first


@pytest.mark.parametrize(
    ("broken", "stale"),
    [pytest.param(False, False, id="in-force"), pytest.param(True, True, id="refused")],
)
async def test_files_that_stay_confirm_the_policy_unless_the_last_ones_were_refused(
    tmp_path, monkeypatch, broken, stale
):
    monkeypatch.setattr("outrider.policy.keeper.POLL_S", 0)
    monkeypatch.setattr("outrider.policy.keeper._SETTLING_S", 0)
    clock = FixedClock()
    keeper = a_keeper(
        write_tree(tmp_path, {"outrider/main.rego": ALLOW_ALL}), clock=clock, max_staleness_s=60
    )
    await keeper.reload()
    if broken:
        write_tree(tmp_path, {"outrider/main.rego": "package outrider\n\ndecision := \n"})
        with pytest.raises(ConfigError):
            await keeper.reload()
    clock.pass_s(61)
    looks = CountedSource(keeper._source)
    keeper._source = looks
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        watching = group.create_task(keeper.watch())
        await until(lambda: looks.count >= 2)
        watching.cancel()
    assert (keeper.status().confirmed_unix_s == clock.unix_s()) is not stale
    if stale:
        assert refused(keeper) is Reason.POLICY_STALE
    else:
        assert keeper.active()


class CountedSource:
    """A source that counts how often it is looked at."""

    is_fetched = False
    path = Path()

    def __init__(self, source):
        self._source = source
        self.count = 0

    def fingerprint(self):
        self.count += 1
        return self._source.fingerprint()


class RestlessSource(PolicySource):
    """A tree that somebody writes to whenever one looks."""

    def fingerprint(self):
        return object()


async def test_a_tree_that_never_holds_still_is_not_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr("outrider.policy.keeper._SETTLING_S", 0)
    keeper = a_keeper(write_tree(tmp_path, {"outrider/main.rego": ALLOW_ALL}))
    await keeper.reload()
    before = keeper.active()
    with pytest.raises(ConfigError, match="keep changing"):
        await keeper.reload(RestlessSource(path=tmp_path))
    assert keeper.active() is before


async def test_whoever_is_told_of_a_first_policy_finds_it_confirmed(tmp_path):
    keeper = a_keeper(write_tree(tmp_path, {"outrider/main.rego": ALLOW_ALL}), max_staleness_s=60)
    seen = []
    keeper.tell(lambda policy: seen.append(keeper.active() is policy))
    await keeper.reload()
    assert seen == [True]


class UnreadableSource(PolicySource):
    """A tree that a reader stumbles over in a way of its own."""

    def load(self):
        raise RecursionError


async def test_a_reader_that_stumbles_refuses_the_files_and_ends_nothing(tmp_path):
    keeper = a_keeper(write_tree(tmp_path, {"outrider/main.rego": ALLOW_ALL}))
    await keeper.reload()
    before = keeper.active()
    write_tree(tmp_path, {"outrider/main.rego": DENY_ALL})
    with pytest.raises(ConfigError, match="the log says why"):
        await keeper.reload(UnreadableSource(path=tmp_path))
    assert keeper.active() is before
    assert "the log says why" in keeper.status().last_error


def a_signed_keeper(place, room, **trust):
    key = a_signing_key()
    stages = []
    keeper = PolicyKeeper(
        source=PolicySource(
            path=place,
            trust=Trust(keys=lambda: {key.id: key.verifying}, scope=SCOPE, **trust),
        ),
        engine=FixedEngine([answers(False)]),
        gate=GATE,
        clock=FixedClock(),
        entrypoint=ENTRYPOINT,
        ledger=SequenceLedger(room),
        on_refused=stages.append,
    )
    return keeper, stages


async def test_a_signed_file_is_verified_and_no_older_one_follows(tmp_path):
    place = tmp_path / "bundle.tar.gz"
    keeper, stages = a_signed_keeper(place, tmp_path)
    for sequence in (1, 2):
        place.write_bytes(a_bundle(sequence=sequence, revision=f"r{sequence}"))
        assert await keeper.reload()
    status = keeper.status()
    assert (status.revision, status.sequence, status.signed_by) == ("r2", 2, "release")
    place.write_bytes(a_bundle(sequence=1))
    with pytest.raises(ConfigError, match="older than 2"):
        await keeper.reload()
    place.write_bytes(a_bundle("package outrider\n\nx := 1\n", sequence=3))
    with pytest.raises(ConfigError):
        await keeper.reload()
    assert stages == ["verify", "activate"]
    assert keeper.status().revision == "r2"


async def test_a_folder_must_be_signed_only_where_local_policy_must(tmp_path):
    tree = write_tree(tmp_path / "t", {"outrider/main.rego": ALLOW_ALL})
    keeper, stages = a_signed_keeper(tree, tmp_path, local=True)
    with pytest.raises(ConfigError, match="not signed"):
        await keeper.reload()
    assert stages == ["verify"]
    write_tree(tree, signed({"outrider/main.rego": ALLOW_ALL.encode()}))
    assert await keeper.reload()
    assert keeper.status().signed_by == "release"
    free, _ = a_signed_keeper(
        write_tree(tmp_path / "u", {"outrider/main.rego": ALLOW_ALL}), tmp_path
    )
    assert await free.reload()
    assert free.status().signed_by is None


async def test_a_release_that_fails_its_canary_is_not_remembered(tmp_path):
    place = tmp_path / "bundle.tar.gz"
    place.write_bytes(a_bundle(sequence=5))
    keeper, _ = a_signed_keeper(place, tmp_path)
    keeper._engine.answers = [fails(Reason.POLICY_ERROR)]
    with pytest.raises(ConfigError, match="no usable decision"):
        await keeper.reload()
    assert SequenceLedger(tmp_path).highest() is None


async def test_while_nothing_was_fetched_watching_says_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("outrider.policy.keeper.POLL_S", 0)
    keeper, stages = a_signed_keeper(None, tmp_path)
    with pytest.raises(ConfigError, match="no bundle was fetched yet"):
        await keeper.reload()
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(keeper.watch())
        for _ in range(20):
            await asyncio.sleep(0)
        watching.cancel()
    assert stages == ["activate"]
