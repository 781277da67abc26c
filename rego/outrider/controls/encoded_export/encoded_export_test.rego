package outrider.controls.encoded_export_test

import data.outrider.testing_test as given

test_after_encoding if {
	first := given.with_action(given.mcp_send, {
		"provenance": {
			"/to": given.argument("destination", "user"),
			"/ticket_id": given.argument("target", "user"),
			"/body": given.argument("content", "model"),
		},
	})
	document := given.with_behaviour(first, {
		"flags": {"sensitive_read": true},
		"highest_sensitivity_read": "confidential",
		"tags": {"encode": {"age_s": 4, "count": 1}},
	})
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-23"}}
}

test_nothing_sensitive_was_read if {
	document := given.with_behaviour(given.mcp_send, {"tags": {"encode": {"age_s": 4, "count": 1}}})
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_nobody_knows_what_was_used if {
	first := given.with_action(json.remove(given.mcp_send, ["context/behaviour/tags"]), {
		"provenance": {
			"/to": given.argument("destination", "user"),
			"/ticket_id": given.argument("target", "user"),
			"/body": given.argument("content", "model"),
		},
	})
	document := given.with_behaviour(first, {
		"flags": {"sensitive_read": true},
		"highest_sensitivity_read": "confidential",
	})
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-14", "SQ-23"}}
}
