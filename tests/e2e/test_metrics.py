"""What a running sidecar counts of its decisions moves with them."""

import pytest

from tests.support.sidecar import a_world
from tests.support.sidecar_policy import a_policy


async def test_a_call_is_counted_with_its_time_and_the_size_of_its_question() -> None:
    async with a_world() as world:
        before = world.metric("decision_duration_seconds_count", engine="embedded")
        assert (await world.get("/desk/tickets/7")).status == 200
        await world.quiet()
        assert world.metric("decision_duration_seconds_count", engine="embedded") == before + 1
        assert world.metric("query_bytes_count") == before + 1
        assert world.metric("query_bytes_sum") > 500
        assert world.metric("policy_bundle_confirmed_timestamp_seconds") > 0


SHADOWED = """package outrider

decision := {"effect": "allow", "reasons": [
    {"code": "XX-01", "message": "", "mode": "shadow", "would": "hold"},
    {"code": "XX-02", "message": "", "mode": "shadow", "would": "deny", "softened": true},
    {"code": "XX-03", "message": "", "severity": "info", "exception": "exc-1"}
], "obligations": []} if input.subject.properties.status == "active"

decision := {"effect": "deny", "reasons": [], "obligations": []} if {
    not input.subject.properties.status == "active"
}
"""


async def test_what_had_no_effect_is_counted_and_told_by_the_record() -> None:
    async with a_world(a_policy(SHADOWED)) as world:
        assert (await world.get("/desk/tickets/7")).status == 200
        await world.quiet()
        assert world.metric("shadow_total", code="other", would="hold") == 1
        assert world.metric("softened_total", would="deny") == 1
        assert world.metric("policy_exceptions_total", code="other") == 1
        (record,) = world.decisions("allow")
        assert record["decision"]["mode"] == "shadow"


async def test_what_is_only_looked_at_is_shown_within_a_second() -> None:
    async with a_world() as world:
        await world.get("/desk/tickets/7")
        await world.until(lambda: world.metric("store_up") == 1)
        assert world.metric("store_operations_total", result="ok") > 0
        assert world.metric("pressure_ratio", resource="fds") >= 0
        assert world.metric("quarantined") == 0
        assert world.metric("build_info") == 1
        assert world.metric("config_info", environment="dev") == 1
        await world.until(lambda: world.metric("event_loop_lag_seconds_count") > 5)


@pytest.mark.parametrize(
    "accept",
    ["text/plain", "application/openmetrics-text; version=1.0.0"],
    ids=["classic", "openmetrics"],
)
async def test_the_page_comes_in_the_format_that_is_asked_for(accept: str) -> None:
    async with a_world() as world:
        page = await world.telemetry("/metrics", f"Accept: {accept}")
        assert page.status == 200
        assert (page.field("content-type") or "").startswith(accept.partition(";")[0])
        assert page.body.endswith(b"# EOF\n") is ("openmetrics" in accept)
        assert b"_created" not in page.body
