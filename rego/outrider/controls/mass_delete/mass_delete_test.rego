package outrider.controls.mass_delete_test

import data.outrider.testing_test as given

test_5_in_a_minute if {
	first := given.with_action(given.mcp_call, {
		"effect": "delete",
		"class": "write",
		"reversible": true,
		"provenance": {"/query": given.argument("target", "user")},
	})
	document := given.with_behaviour(first, {"signals": {"deletes_60s": 5}})
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_6_in_a_minute if {
	first := given.with_action(given.mcp_call, {
		"effect": "delete",
		"class": "write",
		"reversible": true,
		"provenance": {"/query": given.argument("target", "user")},
	})
	document := given.with_behaviour(first, {"signals": {"deletes_60s": 6}})
	given.verdict(document) == {"effect": "hold", "codes": {"SQ-20"}}
}

test_nobody_counted if {
	document := given.with_action(json.remove(given.mcp_call, ["context/behaviour/signals/deletes_60s"]), {
		"effect": "delete",
		"class": "write",
		"reversible": true,
		"provenance": {"/query": given.argument("target", "user")},
	})
	given.verdict(document) == {"effect": "hold", "codes": {"SQ-20"}}
}
