package outrider.controls.secret_then_outside_test

import data.outrider.testing_test as given

test_a_message_outside_after_a_secret if {
	first := given.with_action(given.mcp_send, {
		"provenance": {
			"/to": given.argument("destination", "user"),
			"/ticket_id": given.argument("target", "user"),
			"/body": given.argument("content", "model"),
		},
	})
	document := given.with_behaviour(first, {
		"highest_sensitivity_read": "secret",
		"flags": {"sensitive_read": true},
	})
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-01"}}
}

test_to_a_colleague if {
	first := given.with_action(given.mcp_send, {
		"provenance": {
			"/to": given.argument("destination", "user"),
			"/ticket_id": given.argument("target", "user"),
			"/body": given.argument("content", "model"),
		},
		"destinations": [
			{
				"pointer": null,
				"value": null,
				"host": "tickets.acme.test",
				"zone": "internal",
				"first_seen": false,
			},
			{
				"pointer": "/to",
				"value": "bob@acme.test",
				"host": "acme.test",
				"zone": "internal",
				"first_seen": false,
			},
		],
	})
	document := given.with_behaviour(first, {
		"highest_sensitivity_read": "secret",
		"flags": {"sensitive_read": true},
	})
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_nobody_knows_what_was_read if {
	document := given.with_action(json.remove(given.mcp_send, ["context/behaviour/highest_sensitivity_read"]), {
		"provenance": {
			"/to": given.argument("destination", "user"),
			"/ticket_id": given.argument("target", "user"),
			"/body": given.argument("content", "model"),
		},
	})
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-01"}}
}
