package outrider.controls.irreversible_delete_test

import data.outrider.testing_test as given

grave := given.with_action(given.mcp_call, {"effect": "delete", "class": "write", "reversible": false})

test_a_delete_that_cannot_be_undone_is_held if given.verdict(grave) == {"effect": "hold", "codes": {"EF-03"}}

test_a_delete_that_can_be_undone_is_not if {
	given.verdict(given.with_action(grave, {"reversible": true})) == {"effect": "allow", "codes": set()}
}

test_where_nobody_says_it_cannot_be_undone if {
	given.verdict(given.with_action(grave, {"reversible": null})).effect == "hold"
	given.verdict(given.with_action(grave, {"reversible": "true"})).effect == "hold"
	given.verdict(json.remove(grave, ["action/properties/reversible"])).effect == "hold"
}
