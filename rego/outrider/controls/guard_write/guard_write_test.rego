package outrider.controls.guard_write_test

import data.outrider.testing_test as given

test_a_change_to_a_guard if {
	first := given.with_action(given.mcp_call, {"effect": "write", "class": "write", "reversible": true})
	document := given.with_resource(first, {"tags": ["guard"]})
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-14"}}
}

test_a_guard_is_read if {
	document := given.with_resource(given.mcp_call, {"tags": ["guard"]})
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_nobody_knows_the_tags if {
	unknown := json.remove(given.mcp_call, ["resource/properties/tags"])
	document := given.with_action(unknown, {"effect": "write", "class": "write", "reversible": true})
	given.verdict(document) == {"effect": "deny", "codes": {"EF-08", "SQ-14", "SQ-24"}}
}
