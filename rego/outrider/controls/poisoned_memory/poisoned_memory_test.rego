package outrider.controls.poisoned_memory_test

import data.outrider.testing_test as given

test_from_memory_written_under_taint if {
	document := given.with_action(given.mcp_send, {
		"provenance": {
			"/to": object.union(given.argument("destination", "untrusted"), {"sources": ["mem_12"]}),
			"/ticket_id": given.argument("target", "user"),
		},
	})
	given.verdict(document) == {"effect": "hold", "codes": {"SQ-28"}}
}

test_from_clean_memory if {
	document := given.with_action(given.mcp_send, {
		"provenance": {
			"/to": object.union(given.argument("destination", "platform"), {"sources": ["mem_12"]}),
			"/ticket_id": given.argument("target", "user"),
		},
	})
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_nobody_knows_the_sources if {
	document := given.with_action(given.mcp_send, {
		"provenance": {
			"/to": {
				"role": "destination",
				"label": "untrusted",
				"tokens": [],
				"secrets": [],
			},
		},
	})
	given.verdict(document) == {"effect": "hold", "codes": {"SQ-28"}}
}
