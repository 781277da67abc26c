package outrider.controls.bulk_then_outside_test

import data.outrider.testing_test as given

test_500_records if {
	document := given.with_behaviour(given.mcp_send, {"counters": {"records_read": 500}})
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_501_records if {
	document := given.with_behaviour(given.mcp_send, {"counters": {"records_read": 501}})
	given.verdict(document) == {"effect": "hold", "codes": {"SQ-04"}}
}

test_no_counter if {
	document := json.remove(given.mcp_send, ["context/behaviour/counters/records_read"])
	given.verdict(document) == {"effect": "hold", "codes": {"SQ-04"}}
}
