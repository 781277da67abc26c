package outrider.controls.first_use_test

import data.outrider.testing_test as given

test_the_first_use if {
	document := given.with_behaviour(given.mcp_call, {"signals": {"first_use": true}})
	given.verdict(document) == {"effect": "allow", "codes": {"SQ-09"}}
}

test_the_second_use if {
	document := given.mcp_call
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_nobody_knows if {
	document := json.remove(given.mcp_call, ["context/behaviour/signals/first_use"])
	given.verdict(document) == {"effect": "allow", "codes": {"SQ-09"}}
}
