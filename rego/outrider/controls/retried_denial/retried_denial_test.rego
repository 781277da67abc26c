package outrider.controls.retried_denial_test

import data.outrider.testing_test as given

test_by_another_tool if {
	document := given.with_behaviour(given.mcp_send, {"repeats": {"same_target_after_deny": true}})
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-26"}}
}

test_another_target if {
	document := given.mcp_send
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_nobody_knows if {
	document := json.remove(given.mcp_send, ["context/behaviour/repeats/same_target_after_deny"])
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-26"}}
}
