package outrider.controls.new_destination_test

import data.outrider.testing_test as given

test_a_new_address_the_model_made_up if {
	document := given.with_action(given.mcp_send, {
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
				"value": "kim@customer.example",
				"host": "customer.example",
				"zone": "external",
				"first_seen": true,
			},
		],
		"provenance": {
			"/to": given.argument("destination", "model"),
			"/body": given.argument("content", "model"),
		},
	})
	given.verdict(document) == {"effect": "hold", "codes": {"SQ-08"}}
}

test_a_new_address_the_user_named if {
	document := given.with_action(given.mcp_send, {
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
				"value": "kim@customer.example",
				"host": "customer.example",
				"zone": "external",
				"first_seen": true,
			},
		],
		"provenance": {
			"/to": given.argument("destination", "user"),
			"/ticket_id": given.argument("target", "user"),
			"/body": given.argument("content", "model"),
		},
	})
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_nobody_knows_whether_it_is_new if {
	document := given.with_action(given.mcp_send, {
		"provenance": {"/to": given.argument("destination", "model")},
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
				"value": "kim@customer.example",
				"host": "customer.example",
				"zone": "external",
			},
		],
	})
	given.verdict(document) == {"effect": "hold", "codes": {"SQ-08"}}
}
