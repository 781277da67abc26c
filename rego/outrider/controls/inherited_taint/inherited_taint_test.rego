package outrider.controls.inherited_taint_test

import data.outrider.testing_test as given

test_tainted_above if {
	first := given.with_action(given.mcp_send, {
		"provenance": {
			"/to": given.argument("destination", "model"),
			"/ticket_id": given.argument("target", "user"),
		},
	})
	document := given.with_context(first, {
		"delegation": {
			"depth": 1,
			"chain": [
				{
					"id": "spiffe://acme.test/ns/support/sa/lead",
					"grant_digest": "sha256:00",
					"expires_at": "2026-11-23T10:00:00Z",
					"age_s": 9000,
				},
			],
			"flags": {"untrusted_read": true},
			"root_principal": null,
		},
	})
	given.verdict(document) == {"effect": "hold", "codes": {"SQ-27"}} with data.outrider.rules["SQ-27"].mode as "enforce"
}

test_clean_above if {
	first := given.with_action(given.mcp_send, {
		"provenance": {
			"/to": given.argument("destination", "model"),
			"/ticket_id": given.argument("target", "user"),
		},
	})
	document := given.with_context(first, {
		"delegation": {
			"depth": 1,
			"chain": [
				{
					"id": "spiffe://acme.test/ns/support/sa/lead",
					"grant_digest": "sha256:00",
					"expires_at": "2026-11-23T10:00:00Z",
					"age_s": 9000,
				},
			],
			"flags": {"untrusted_read": false},
			"root_principal": null,
		},
	})
	given.verdict(document) == {"effect": "allow", "codes": set()} with data.outrider.rules["SQ-27"].mode as "enforce"
}

test_nobody_knows_what_was_read_above if {
	first := given.with_action(json.remove(given.mcp_send, ["context/delegation/flags"]), {
		"provenance": {
			"/to": given.argument("destination", "model"),
			"/ticket_id": given.argument("target", "user"),
		},
	})
	document := given.with_context(first, {"delegation": {"depth": 1}})
	given.verdict(document) == {"effect": "hold", "codes": {"SQ-27"}} with data.outrider.rules["SQ-27"].mode as "enforce"
}
