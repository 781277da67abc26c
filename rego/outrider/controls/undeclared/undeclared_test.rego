package outrider.controls.undeclared_test

import data.outrider.testing_test as given

undeclared := given.with_resource(
	given.with_action(given.mcp_call, {"effect": "execute", "class": "execute"}),
	{"declared": false},
)

elsewhere := given.with_subject(given.with_context(undeclared, {"environment": "dev"}), {"environment": "dev"})

test_what_nobody_declared_is_denied_in_production if {
	given.verdict(undeclared) == {"effect": "deny", "codes": {"TS-02"}}
}

test_what_nobody_declared_is_held_elsewhere if {
	given.verdict(elsewhere) == {"effect": "hold", "codes": {"TS-02"}}
}

test_what_is_declared_is_not if given.verdict(given.mcp_call) == {"effect": "allow", "codes": set()}

test_mcps_own_methods_need_no_declaration if {
	document := object.union(given.mcp_call, {"resource": {
		"type": "api",
		"id": "notes/ping",
		"properties": {"declared": false},
	}})
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_an_undeclared_tool_that_claims_to_read_is_denied if {
	given.verdict(given.with_resource(given.mcp_call, {"declared": false})).effect == "deny"
	given.verdict(given.with_resource(given.mcp_call, {"declared": "true"})).effect == "deny"
	given.verdict(json.remove(given.mcp_call, ["resource/properties/declared"])).effect == "deny"
}
