package outrider.controls.working_hours_test

import data.outrider.testing_test as given

test_at_18_00 if {
	first := given.with_action(given.mcp_call, {"effect": "write", "class": "write", "reversible": true})
	document := given.with_context(first, {"time": {"minute_of_day": 1080}})
	given.verdict(document) == {"effect": "hold", "codes": {"SQ-17"}} with data.outrider.calendar.hours as {"monday": {"from": 480, "to": 1080}} with data.outrider.calendar.freezes as {
		"all": {"from": "2026-12-24T00:00:00Z", "until": "2027-01-02T00:00:00Z"},
	}
}

test_at_17_59 if {
	first := given.with_action(given.mcp_call, {"effect": "write", "class": "write", "reversible": true})
	document := given.with_context(first, {"time": {"minute_of_day": 1079}})
	given.verdict(document) == {"effect": "allow", "codes": set()} with data.outrider.calendar.hours as {"monday": {"from": 480, "to": 1080}} with data.outrider.calendar.freezes as {
		"all": {"from": "2026-12-24T00:00:00Z", "until": "2027-01-02T00:00:00Z"},
	}
}

test_nobody_knows_the_time if {
	document := given.with_action(json.remove(given.mcp_call, ["context/time/minute_of_day"]), {"effect": "write", "class": "write", "reversible": true})
	given.verdict(document) == {"effect": "hold", "codes": {"SQ-17"}} with data.outrider.calendar.hours as {"monday": {"from": 480, "to": 1080}} with data.outrider.calendar.freezes as {
		"all": {"from": "2026-12-24T00:00:00Z", "until": "2027-01-02T00:00:00Z"},
	}
}
