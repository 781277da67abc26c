package outrider.controls.rule_of_two_test

import data.outrider.testing_test as given

test_a_message_outside_by_an_agent_of_tier_high if {
	first := given.with_action(given.mcp_send, {
		"provenance": {
			"/to": given.argument("destination", "user"),
			"/ticket_id": given.argument("target", "user"),
			"/body": given.argument("content", "model"),
		},
	})
	second := given.with_subject(first, {"tier": "high"})
	document := given.with_behaviour(second, {
		"flags": {"untrusted_read": true, "sensitive_read": true},
		"highest_sensitivity_read": "confidential",
	})
	given.verdict(document) == {"effect": "hold", "codes": {"SQ-03"}}
}

test_two_of_three if {
	first := given.with_action(given.mcp_send, {
		"provenance": {
			"/to": given.argument("destination", "user"),
			"/ticket_id": given.argument("target", "user"),
			"/body": given.argument("content", "model"),
		},
	})
	second := given.with_subject(first, {"tier": "high"})
	document := given.with_behaviour(second, {"flags": {"untrusted_read": true}})
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_nobody_knows_the_tier if {
	first := given.with_action(json.remove(given.mcp_send, ["subject/properties/tier"]), {
		"provenance": {
			"/to": given.argument("destination", "user"),
			"/ticket_id": given.argument("target", "user"),
			"/body": given.argument("content", "model"),
		},
	})
	document := given.with_behaviour(first, {
		"flags": {"untrusted_read": true, "sensitive_read": true},
		"highest_sensitivity_read": "confidential",
	})
	given.verdict(document) == {"effect": "hold", "codes": {"SQ-03"}}
}
