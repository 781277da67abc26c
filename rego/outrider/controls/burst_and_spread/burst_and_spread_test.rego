package outrider.controls.burst_and_spread_test

import data.outrider.testing_test as given

test_two_addresses if {
	document := given.with_behaviour(given.mcp_call, {"signals": {"instances_60s": 2}})
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-16"}}
}

test_120_calls if {
	document := given.with_behaviour(given.mcp_call, {"counters": {"calls_60s": 120}})
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_nobody_knows_the_addresses if {
	document := json.remove(given.mcp_call, ["context/behaviour/signals/instances_60s"])
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-16"}}
}
