package outrider.controls.rejected_before_test

import data.outrider.testing_test as given

test_twice if {
	document := given.with_behaviour(given.mcp_send, {"signals": {"rejected_same_3600s": 2}})
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-11"}} with data.outrider.rules["SQ-11"].mode as "enforce"
}

test_once if {
	document := given.with_behaviour(given.mcp_send, {"signals": {"rejected_same_3600s": 1}})
	given.verdict(document) == {"effect": "allow", "codes": set()} with data.outrider.rules["SQ-11"].mode as "enforce"
}

test_nobody_counted if {
	document := json.remove(given.mcp_send, ["context/behaviour/signals/rejected_same_3600s"])
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-11"}} with data.outrider.rules["SQ-11"].mode as "enforce"
}
