package outrider.controls.loop_test

import data.outrider.testing_test as given

test_four_times if {
	document := given.with_behaviour(given.mcp_call, {"repeats": {"same_action_60s": 4}})
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_five_times if {
	document := given.with_behaviour(given.mcp_call, {"repeats": {"same_action_60s": 5}})
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-30"}}
}

test_nobody_counted if {
	document := json.remove(given.mcp_call, ["context/behaviour/repeats/same_action_60s"])
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-30"}}
}
