package outrider.controls.drip_outside_test

import data.outrider.testing_test as given

calls := [{"id": "evt_1", "effect": "send", "outcome": "ok"} | some _ in numbers.range(1, 8)]

sent(bytes) := {"counters": {"bytes_out": {"customer.example": bytes}}, "recent": calls}

test_up_to_the_limit_passes if {
	document := given.with_behaviour(given.mcp_send, sent(1048576))
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_one_byte_more_is_denied if {
	document := given.with_behaviour(given.mcp_send, sent(1048577))
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-05"}}
}

test_few_calls_are_no_drip if {
	document := given.with_behaviour(given.mcp_send, object.union(sent(1048577), {"recent": []}))
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_where_nobody_counted_it_is_denied if {
	unknown := json.remove(given.mcp_send, ["context/behaviour/counters/bytes_out"])
	document := given.with_behaviour(unknown, {"recent": calls})
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-05"}}
}
