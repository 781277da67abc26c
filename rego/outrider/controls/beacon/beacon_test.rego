package outrider.controls.beacon_test

import data.outrider.testing_test as given

test_six_at_even_times if {
	document := given.with_behaviour(given.mcp_send, {"signals": {"beacon": {"calls": 6, "jitter_percent": 9}}})
	given.verdict(document) == {"effect": "allow", "codes": {"SQ-29"}}
}

test_five if {
	first := given.with_subject(given.mcp_send, {"tier": "high"})
	document := given.with_behaviour(first, {"signals": {"beacon": {"calls": 5, "jitter_percent": 0}}})
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_nobody_knows if {
	document := given.with_subject(json.remove(given.mcp_send, ["context/behaviour/signals/beacon"]), {"tier": "high"})
	given.verdict(document) == {"effect": "hold", "codes": {"SQ-29"}}
}
