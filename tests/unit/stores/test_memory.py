"""The memory store forgets with its process; its promises are in the contract suite."""

from outrider.stores.memory import MemoryStore


async def test_two_stores_share_nothing():
    first, second = MemoryStore(), MemoryStore()
    await first.put("pins", "a", {"n": 1})
    assert await second.get("pins", "a") is None
    assert [await first.next_epoch("a"), await second.next_epoch("a")] == [1, 1]
