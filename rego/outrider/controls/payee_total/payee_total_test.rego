package outrider.controls.payee_total_test

import data.outrider.testing_test as given

test_99_5_in_24_hours if {
	document := given.with_behaviour(given.mcp_pay, {"signals": {"amount_target_24h": 99.5}})
	given.verdict(document) == {"effect": "hold", "codes": {"EF-02"}}
}

test_100_in_24_hours if {
	document := given.with_behaviour(given.mcp_pay, {"signals": {"amount_target_24h": 100}})
	given.verdict(document) == {"effect": "hold", "codes": {"EF-02", "SQ-12"}}
}

test_nobody_added_them_up if {
	document := json.remove(given.mcp_pay, ["context/behaviour/signals/amount_target_24h"])
	given.verdict(document) == {"effect": "hold", "codes": {"EF-02", "SQ-12"}}
}
