"""What is made of a server's answers; against a real one: tests/contract/stores."""

import pytest

from outrider.core.errors import StoreUnavailableError
from outrider.core.ports import Held
from outrider.stores.redis_states import RedisStates
from outrider.stores.resp import ServerError


class ScriptedLink:
    """Gives each call the next answer, and notes what was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []
        self.dropped = 0

    def healthy(self):
        return True

    def drop(self):
        self.dropped += 1

    async def calls(self, commands, *, again=False):
        self.again = again
        self.asked += commands
        return [self.answers.pop(0) for _ in commands]

    async def call(self, *parts, again=False):
        return (await self.calls((parts,), again=again))[0]


async def test_a_script_the_server_does_not_know_is_told_once_and_carried_out():
    link = ScriptedLink(b"e", ServerError("NOSCRIPT No matching script."), 1)
    assert await RedisStates(link).swap("books", "a", 0, b"x") is None
    assert [parts[0] for parts in link.asked] == [b"EVALSHA", b"EVALSHA", b"EVAL"]


@pytest.mark.parametrize("code", ["OOM", "READONLY", "MISCONF", "NOPERM", "LOADING"])
async def test_an_error_before_anything_was_done_says_so(code):
    link = ScriptedLink(b"e", ServerError(f"{code} no"))
    with pytest.raises(StoreUnavailableError) as refusal:
        await RedisStates(link).swap("books", "a", 0, b"x")
    assert refusal.value.cause == "refused"
    assert link.dropped == (code in {"READONLY", "LOADING"})


@pytest.mark.parametrize(
    "reply",
    [ServerError("ERR user_script:9: what"), ServerError("WRONGTYPE no"), None, b"x", 7, [1], []],
)
async def test_an_answer_nobody_expects_may_have_done_something(reply):
    with pytest.raises(StoreUnavailableError) as refusal:
        await RedisStates(ScriptedLink(b"e", reply)).swap("books", "a", 0, b"x")
    assert refusal.value.cause == "unknown"


async def test_a_server_with_another_epoch_has_lost_what_it_held():
    link = ScriptedLink(b"e", 1, -1, b"f", 0)
    states = RedisStates(link)
    await states.swap("books", "a", 0, b"x")
    with pytest.raises(StoreUnavailableError) as refusal:
        await states.swap("books", "a", 1, b"y")
    assert refusal.value.cause == "wiped"
    assert (states.losses("books"), states.losses("tasks")) == (1, 0)
    assert await states.read("books", "a") is None
    assert b"f" in link.asked[-1]


async def test_what_is_durable_counts_once_enough_replicas_have_it():
    link = ScriptedLink(b"e", 1, 2, 1, 1)
    states = RedisStates(link, replicas=2)
    assert await states.swap("books", "a", 0, b"x", durable=True) is None
    assert link.asked[-1][:2] == (b"WAIT", b"2")
    with pytest.raises(StoreUnavailableError) as refusal:
        await states.swap("books", "a", 1, b"x", durable=True)
    assert refusal.value.cause == "unknown"


async def test_without_replicas_nothing_is_waited_for():
    link = ScriptedLink(b"e", 1)
    await RedisStates(link).swap("books", "a", 0, b"x", durable=True)
    assert [parts[0] for parts in link.asked] == [b"EVALSHA", b"EVALSHA"]


async def test_a_row_that_went_between_the_pages_is_left_out():
    link = ScriptedLink([b"a", b"b"], b"e", [3, b"x"], 0)
    assert await RedisStates(link).items("books") == {"a": Held(version=3, value=b"x")}


@pytest.mark.parametrize("page", [None, ServerError("NOPERM no"), 3])
async def test_items_that_cannot_be_read_are_not_left_out(page):
    with pytest.raises(StoreUnavailableError):
        await RedisStates(ScriptedLink(page)).items("books")


async def test_a_row_that_cannot_be_read_is_not_left_out():
    link = ScriptedLink([b"a", b"b"], b"e", [3, b"x"], None)
    with pytest.raises(StoreUnavailableError):
        await RedisStates(link).items("books")


async def test_many_rows_are_read_a_page_at_a_time():
    keys = [b"%d" % number for number in range(100)]
    link = ScriptedLink(keys, b"e", *([1, b"x"] for _ in range(100)))
    assert len(await RedisStates(link).items("books")) == 100
    assert [parts[0] for parts in link.asked].count(b"ZRANGE") == 1


async def test_only_what_may_be_done_twice_is_ever_sent_again():
    link = ScriptedLink(b"e", 0, 1)
    states = RedisStates(link)
    await states.read("books", "a")
    assert link.again
    await states.swap("books", "a", 0, b"x")
    assert not link.again
