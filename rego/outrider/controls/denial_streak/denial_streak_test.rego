package outrider.controls.denial_streak_test

import data.outrider.testing_test as given

test_a_change_after_5_denials_over_3_tools if {
	first := given.with_action(given.mcp_call, {"effect": "write", "class": "write", "reversible": true})
	document := given.with_behaviour(first, {
		"counters": {"denials_300s": 5},
		"signals": {"denied_tools_300s": 3},
	})
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-25"}}
}

test_2_tools if {
	document := given.with_behaviour(given.mcp_call, {
		"counters": {"denials_300s": 5},
		"signals": {"denied_tools_300s": 2},
	})
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_nobody_counted_denials if {
	unknown := json.remove(given.mcp_call, ["context/behaviour/counters/denials_300s"])
	first := given.with_action(unknown, {"effect": "write", "class": "write", "reversible": true})
	document := given.with_behaviour(first, {
		"counters": {"denials_300s": 5},
		"signals": {"denied_tools_300s": 3},
	})
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-25"}}
}
