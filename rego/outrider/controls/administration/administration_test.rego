package outrider.controls.administration_test

import data.outrider.testing_test as given

admin := given.with_action(given.mcp_call, {"effect": "admin", "class": "execute"})

test_administration_is_held if given.verdict(admin) == {"effect": "hold", "codes": {"EF-04"}}

test_a_write_is_not_administration if {
	document := given.with_action(given.mcp_call, {"effect": "write", "class": "write"})
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_another_spelling_is_no_way_past if {
	given.verdict(given.with_action(admin, {"effect": "ADMIN"})).effect == "deny"
}
