package outrider.controls.foreign_consent_test

import data.outrider.testing_test as given

test_another_agent_saw_it if {
	document := given.with_behaviour(given.mcp_call, {"signals": {"consent_other_agent": true}})
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-22"}}
}

test_the_same_agent_saw_it if {
	document := given.mcp_call
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_nobody_knows if {
	document := json.remove(given.mcp_call, ["context/behaviour/signals/consent_other_agent"])
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-22"}}
}
