"""What a running sidecar counts of its decisions moves with them."""

from tests.support.sidecar import a_world


async def test_a_call_is_counted_with_its_time_and_the_size_of_its_question() -> None:
    async with a_world() as world:
        before = world.metric("decision_duration_seconds_count", engine="embedded")
        assert (await world.get("/desk/tickets/7")).status == 200
        await world.quiet()
        assert world.metric("decision_duration_seconds_count", engine="embedded") == before + 1
        assert world.metric("query_bytes_count") == before + 1
        assert world.metric("query_bytes_sum") > 500
        assert world.metric("policy_bundle_confirmed_timestamp_seconds") > 0
