package outrider.controls.own_destination_test

import data.outrider.testing_test as given

test_made_an_hour_ago if {
	document := given.with_behaviour(given.mcp_send, {"signals": {"target_age_s": 3600}})
	given.verdict(document) == {"effect": "hold", "codes": {"SQ-13"}}
}

test_made_a_day_ago if {
	document := given.with_behaviour(given.mcp_send, {"signals": {"target_age_s": 86400}})
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_nobody_knows if {
	document := json.remove(given.mcp_send, ["context/behaviour/signals/target_age_s"])
	given.verdict(document) == {"effect": "hold", "codes": {"SQ-13"}}
}
