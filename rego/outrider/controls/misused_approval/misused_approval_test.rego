package outrider.controls.misused_approval_test

import data.outrider.testing_test as given

test_an_approval_of_something_else if {
	document := given.with_behaviour(given.mcp_send, {"signals": {"approval_misuse": true}})
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-10"}} with data.outrider.rules["SQ-10"].mode as "enforce"
}

test_the_same_action_in_another_order_of_keys if {
	document := given.mcp_send
	given.verdict(document) == {"effect": "allow", "codes": set()} with data.outrider.rules["SQ-10"].mode as "enforce"
}

test_nobody_knows if {
	document := json.remove(given.mcp_send, ["context/behaviour/signals/approval_misuse"])
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-10"}} with data.outrider.rules["SQ-10"].mode as "enforce"
}
