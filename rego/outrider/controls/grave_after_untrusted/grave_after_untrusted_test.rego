package outrider.controls.grave_after_untrusted_test

import data.outrider.testing_test as given

test_a_delete_nobody_named if {
	first := given.with_action(given.mcp_call, {
		"effect": "delete",
		"class": "write",
		"reversible": false,
		"provenance": {"/query": given.argument("target", "platform")},
		"destinations": [
			{
				"pointer": null,
				"value": null,
				"host": "tickets.acme.test",
				"zone": "internal",
				"first_seen": false,
			},
		],
	})
	document := given.with_behaviour(first, {"flags": {"untrusted_read": true}})
	given.verdict(document) == {"effect": "hold", "codes": {"EF-03", "SQ-02"}}
}

test_an_argument_stands_in_the_anchors if {
	first := given.with_action(given.mcp_call, {
		"effect": "delete",
		"class": "write",
		"reversible": false,
		"provenance": {"/query": given.argument("target", "user")},
	})
	document := given.with_behaviour(first, {"flags": {"untrusted_read": true}})
	given.verdict(document) == {"effect": "hold", "codes": {"EF-03"}}
}

test_nobody_knows_what_was_read if {
	document := given.with_action(json.remove(given.mcp_call, ["context/behaviour/flags/untrusted_read"]), {
		"effect": "delete",
		"class": "write",
		"reversible": false,
		"provenance": {"/query": given.argument("target", "platform")},
	})
	given.verdict(document) == {"effect": "hold", "codes": {"EF-03", "SQ-02"}}
}
