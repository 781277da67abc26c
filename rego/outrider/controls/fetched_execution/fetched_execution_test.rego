package outrider.controls.fetched_execution_test

import data.outrider.testing_test as given

test_a_file_this_task_wrote if {
	first := given.with_action(given.mcp_call, {
		"effect": "execute",
		"class": "execute",
		"arguments": {"file": "run.sh"},
		"provenance": {"/file": given.argument("target", "session")},
	})
	document := given.with_behaviour(first, {"flags": {"untrusted_read": true}})
	given.verdict(document) == {"effect": "deny", "codes": {"EF-05", "PV-01", "SQ-02", "SQ-24"}}
}

test_a_file_from_the_anchors if {
	first := given.with_action(given.mcp_call, {
		"effect": "execute",
		"class": "execute",
		"arguments": {"file": "run.sh"},
		"provenance": {"/file": given.argument("target", "user")},
	})
	document := given.with_behaviour(first, {"flags": {"untrusted_read": true}})
	given.verdict(document) == {"effect": "deny", "codes": {"EF-05", "PV-01"}}
}

test_nobody_knows_where_the_file_comes_from if {
	first := given.with_action(given.mcp_call, {
		"effect": "execute",
		"class": "execute",
		"arguments": {"file": "run.sh"},
		"provenance": {
			"/file": {"role": "target", "sources": [], "tokens": [], "secrets": []},
		},
	})
	document := given.with_behaviour(first, {"flags": {"untrusted_read": true}})
	given.verdict(document) == {"effect": "deny", "codes": {"EF-05", "PV-01", "SQ-02", "SQ-24"}}
}
