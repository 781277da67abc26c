package outrider.controls.secret_in_read_test

import data.outrider.testing_test as given

test_a_secret_in_the_search_term if {
	document := given.with_action(given.mcp_call, {
		"provenance": {
			"/query": object.union(given.argument("content", "model"), {"secrets": ["sec_1"]}),
		},
	})
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-32"}}
}

test_no_secret if {
	document := given.with_action(given.mcp_call, {"provenance": {"/query": given.argument("content", "model")}})
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_nobody_looked if {
	document := json.remove(given.mcp_call, ["action/properties/provenance"])
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-32"}}
}
