"""What names mean is what it was at the start, or nothing."""

import asyncio
import os

import pytest

from outrider.server.name_files import NameFiles
from tests.support.builders import FixedClock


class FixedLookup:
    def __init__(self, during=None):
        self.during = during

    async def __call__(self, host, port):
        if self.during is not None:
            await asyncio.to_thread(self.during)
        return ["93.184.216.34"]


@pytest.fixture(name="paths")
def _paths(tmp_path):
    paths = (tmp_path / "hosts", tmp_path / "resolv.conf")
    for path in paths:
        path.write_text("127.0.0.1 localhost\n")
    return paths


async def test_as_long_as_the_files_stay_names_are_looked_up(paths):
    files = NameFiles(clock=FixedClock(), paths=paths, lookup=FixedLookup())
    await asyncio.to_thread(files.take)
    paths[0].write_text(paths[0].read_text())  # written again, the same
    assert await files.lookup("a.example", 443) == ["93.184.216.34"]


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda path: path.write_text("6.6.6.6 a.example\n"), id="written"),
        pytest.param(lambda path: path.unlink(), id="taken-away"),
        pytest.param(lambda path: path.write_text(""), id="emptied"),
    ],
)
async def test_once_one_has_changed_no_name_means_anything(paths, place, change, caplog):
    files = NameFiles(clock=FixedClock(), paths=paths, lookup=FixedLookup())
    await asyncio.to_thread(files.take)
    change(paths[place])
    await asyncio.to_thread(files.take)  # a reload's look is not the first
    for _ in range(2):
        with pytest.raises(OSError, match="something else"):
            await files.lookup("a.example", 443)
    assert [record.event for record in caplog.records] == ["names_changed"]


@pytest.mark.parametrize(
    ("answer", "is_told"),
    [
        pytest.param(["93.184.216.34", "2606:2800:220:1::7"], True, id="others"),
        pytest.param(["127.0.0.1"], True, id="loopback"),
        pytest.param(["10.244.0.9"], False, id="the-pods"),
        pytest.param(["93.184.216.34", "10.244.0.9"], False, id="the-pods-too"),
    ],
)
async def test_a_name_of_the_pods_own_is_no_upstreams(paths, caplog, answer, is_told):
    async def lookup(host, port):
        return answer

    files = NameFiles(
        clock=FixedClock(), paths=paths, lookup=lookup, own=lambda text: text == "10.244.0.9"
    )
    await asyncio.to_thread(files.take)
    for _ in range(2):
        if is_told:
            assert await files.lookup("tools.platform.svc.cluster.local", 80) == answer
        else:
            with pytest.raises(OSError, match="this pod itself"):
                await files.lookup("tools.platform.svc.cluster.local", 80)
    assert [record.event for record in caplog.records] == ([] if is_told else ["name_is_own"])


async def test_a_change_while_it_is_asked_counts(paths):
    files = NameFiles(
        clock=FixedClock(),
        paths=paths,
        lookup=FixedLookup(lambda: paths[0].write_text("6.6.6.6 a.example\n")),
    )
    await asyncio.to_thread(files.take)
    with pytest.raises(OSError):  # noqa: PT011 - there is no other word
        await files.lookup("a.example", 443)


async def test_before_the_first_look_nothing_is_looked_up(paths):
    with pytest.raises(OSError):  # noqa: PT011
        await NameFiles(clock=FixedClock(), paths=paths, lookup=FixedLookup()).lookup(
            "a.example", 443
        )


async def test_a_file_that_is_not_there_may_stay_away(paths):
    paths[1].unlink()
    files = NameFiles(clock=FixedClock(), paths=paths, lookup=FixedLookup())
    await asyncio.to_thread(files.take)
    assert await files.lookup("a.example", 443)


class Memory:
    """What is kept over the lives of the process."""

    def __init__(self):
        self.kept = None

    def recall(self):
        return self.kept

    def remember(self, digest):
        self.kept = digest


async def test_what_was_changed_once_stays_refused_though_it_is_put_back(paths, caplog):
    files = NameFiles(clock=FixedClock(), paths=paths, lookup=FixedLookup())
    await asyncio.to_thread(files.take)
    first = paths[0].read_text()
    paths[0].write_text("6.6.6.6 a.example\n")
    with pytest.raises(OSError, match="something else"):
        await files.lookup("a.example", 443)
    paths[0].write_text(first)
    with pytest.raises(OSError, match="something else"):
        await files.lookup("a.example", 443)
    assert [record.event for record in caplog.records] == ["names_changed"]


def _replaced(path):
    text = path.read_text()
    other = path.with_name("other")
    other.write_text(text)
    other.replace(path)


def _put_and_put_back(path):
    text = path.read_text()
    path.write_text("6.6.6.6 a.example\n")
    path.write_text(text)


@pytest.mark.parametrize(
    "during",
    [
        pytest.param(_put_and_put_back, id="another-and-back"),
        pytest.param(_replaced, id="another-file-of-the-same-text"),
        pytest.param(lambda path: os.utime(path, ns=(0, 0)), id="its-times-set"),
    ],
)
async def test_an_answer_counts_only_if_nothing_was_written_meanwhile(paths, during):
    for path in paths:  # long ago, as far as the kernel's coarse clock can tell
        os.utime(path)
    lookup = FixedLookup()
    files = NameFiles(clock=FixedClock(), paths=paths, lookup=lookup)
    await asyncio.to_thread(files.take)
    before = paths[0].stat().st_ctime_ns

    def change():
        while paths[0].stat().st_ctime_ns == before:
            during(paths[0])

    lookup.during = change
    with pytest.raises(OSError, match="during the look-up"):
        await files.lookup("a.example", 443)
    lookup.during = None
    assert await files.lookup("a.example", 443)  # it was no other meaning that was seen


async def test_what_was_written_just_now_could_hide_a_change(paths):
    clock = FixedClock(now_unix_s=paths[1].stat().st_ctime + 0.01)
    files = NameFiles(clock=clock, paths=paths, lookup=FixedLookup())
    await asyncio.to_thread(files.take)
    with pytest.raises(OSError, match="just now"):
        await files.lookup("a.example", 443)
    clock.pass_s(0.1)
    assert await files.lookup("a.example", 443)


@pytest.mark.parametrize(
    ("text", "is_over"),
    [
        pytest.param("", False, id="empty-as-the-kubelet-leaves-it-for-a-moment"),
        pytest.param("6.6.6.6 a.example\n", True, id="another"),
    ],
)
async def test_a_file_that_is_being_written_is_not_yet_another(paths, text, is_over):
    clock = FixedClock()
    files = NameFiles(clock=clock, paths=paths, lookup=FixedLookup())
    await asyncio.to_thread(files.take)
    first = paths[0].read_text()
    paths[0].write_text(text)
    clock.now_unix_s = paths[0].stat().st_ctime + 0.01
    with pytest.raises(OSError):  # noqa: PT011
        await files.lookup("a.example", 443)
    paths[0].write_text(first)
    clock.now_unix_s = paths[0].stat().st_ctime + 1
    if is_over:
        with pytest.raises(OSError, match="something else"):
            await files.lookup("a.example", 443)
    else:
        assert await files.lookup("a.example", 443)


async def test_another_life_of_the_process_does_not_learn_anew(paths, caplog):
    memory = Memory()
    first = NameFiles(clock=FixedClock(), paths=paths, lookup=FixedLookup(), memory=memory)
    await asyncio.to_thread(first.take)
    again = NameFiles(clock=FixedClock(), paths=paths, lookup=FixedLookup(), memory=memory)
    await asyncio.to_thread(again.take)
    assert await again.lookup("a.example", 443)
    paths[0].write_text("6.6.6.6 a.example\n")
    third = NameFiles(clock=FixedClock(), paths=paths, lookup=FixedLookup(), memory=memory)
    await asyncio.to_thread(third.take)
    with pytest.raises(OSError, match="something else"):
        await third.lookup("a.example", 443)
    assert [record.event for record in caplog.records] == ["names_changed"]


async def test_a_pipe_in_its_place_is_not_waited_for(paths):
    files = NameFiles(clock=FixedClock(), paths=paths, lookup=FixedLookup())
    await asyncio.to_thread(files.take)
    paths[0].unlink()
    os.mkfifo(paths[0])
    async with asyncio.timeout(5):
        with pytest.raises(OSError, match="something else"):
            await files.lookup("a.example", 443)
