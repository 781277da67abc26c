"""What names mean is what it was at the start, or nothing."""

import asyncio

import pytest

from outrider.server.name_files import NameFiles


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
    files = NameFiles(paths=paths, lookup=FixedLookup())
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
    files = NameFiles(paths=paths, lookup=FixedLookup())
    await asyncio.to_thread(files.take)
    change(paths[place])
    await asyncio.to_thread(files.take)  # a reload's look is not the first
    for _ in range(2):
        with pytest.raises(OSError, match="something else"):
            await files.lookup("a.example", 443)
    assert [record.event for record in caplog.records] == ["names_changed"]


async def test_a_change_while_it_is_asked_counts(paths):
    files = NameFiles(
        paths=paths, lookup=FixedLookup(lambda: paths[0].write_text("6.6.6.6 a.example\n"))
    )
    await asyncio.to_thread(files.take)
    with pytest.raises(OSError):  # noqa: PT011 - there is no other word
        await files.lookup("a.example", 443)


async def test_before_the_first_look_nothing_is_looked_up(paths):
    with pytest.raises(OSError):  # noqa: PT011
        await NameFiles(paths=paths, lookup=FixedLookup()).lookup("a.example", 443)


async def test_a_file_that_is_not_there_may_stay_away(paths):
    paths[1].unlink()
    files = NameFiles(paths=paths, lookup=FixedLookup())
    await asyncio.to_thread(files.take)
    assert await files.lookup("a.example", 443)
