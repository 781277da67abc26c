package outrider.controls.working_hours_test

import data.outrider.testing_test as given

hours := {"monday": {"from": 480, "to": 1080}}

test_at_18_00 if {
	first := given.with_action(given.mcp_call, {"effect": "write", "class": "write", "reversible": true})
	document := given.with_context(first, {"time": {"minute_of_day": 1080}})
	given.verdict(document) == {"effect": "hold", "codes": {"SQ-17"}} with data.outrider.calendar.hours as hours
}

test_at_17_59 if {
	first := given.with_action(given.mcp_call, {"effect": "write", "class": "write", "reversible": true})
	document := given.with_context(first, {"time": {"minute_of_day": 1079}})
	given.verdict(document) == {"effect": "allow", "codes": set()} with data.outrider.calendar.hours as hours
}

test_nobody_knows_the_time if {
	unknown := json.remove(given.mcp_call, ["context/time/minute_of_day"])
	document := given.with_action(unknown, {"effect": "write", "class": "write", "reversible": true})
	given.verdict(document) == {"effect": "hold", "codes": {"SQ-17"}} with data.outrider.calendar.hours as hours
}
