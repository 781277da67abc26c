package outrider.controls.privilege_path_test

import data.outrider.testing_test as given

test_in_this_order if {
	first := given.with_action(given.mcp_call, {"effect": "write", "class": "write", "reversible": true})
	second := given.with_resource(first, {"tags": ["write_role"]})
	document := given.with_behaviour(second, {
		"tags": {
			"list_principals": {"age_s": 40, "count": 1},
			"read_role": {"age_s": 20, "count": 1},
		},
	})
	given.verdict(document) == {"effect": "hold", "codes": {"SQ-19"}}
}

test_in_the_other_order if {
	first := given.with_action(given.mcp_call, {"effect": "write", "class": "write", "reversible": true})
	second := given.with_resource(first, {"tags": ["write_role"]})
	document := given.with_behaviour(second, {
		"tags": {
			"list_principals": {"age_s": 20, "count": 1},
			"read_role": {"age_s": 40, "count": 1},
		},
	})
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_nobody_knows_when if {
	first := given.with_action(given.mcp_call, {"effect": "write", "class": "write", "reversible": true})
	second := given.with_resource(first, {"tags": ["write_role"]})
	document := given.with_behaviour(second, {
		"tags": {
			"list_principals": {"count": 1},
			"read_role": {"age_s": 2, "count": 1},
		},
	})
	given.verdict(document) == {"effect": "hold", "codes": {"SQ-19"}}
}
