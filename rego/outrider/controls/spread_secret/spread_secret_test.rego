package outrider.controls.spread_secret_test

import data.outrider.testing_test as given

test_a_second_place if {
	first := given.with_action(given.mcp_send, {
		"provenance": {
			"/to": given.argument("destination", "user"),
			"/body": object.union(given.argument("content", "model"), {"secrets": ["sec_1"]}),
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
	document := given.with_behaviour(first, {"signals": {"secret_destinations": 2}})
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-06"}}
}

test_the_same_place_twice if {
	first := given.with_action(given.mcp_send, {
		"provenance": {
			"/to": given.argument("destination", "user"),
			"/body": object.union(given.argument("content", "model"), {"secrets": ["sec_1"]}),
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
	document := given.with_behaviour(first, {"signals": {"secret_destinations": 1}})
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_nobody_counted if {
	document := given.with_action(json.remove(given.mcp_send, ["context/behaviour/signals/secret_destinations"]), {
		"provenance": {
			"/to": given.argument("destination", "user"),
			"/body": object.union(given.argument("content", "model"), {"secrets": ["sec_1"]}),
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
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-06"}}
}
