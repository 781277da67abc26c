package outrider.controls.ended_task_test

import data.outrider.testing_test as given

test_an_ended_task if {
	document := given.with_context(given.mcp_call, {"task": {"state": "ended"}})
	given.verdict(document) == {"effect": "deny", "codes": {"EF-00", "SQ-15"}}
}

test_in_the_last_second if {
	document := given.with_context(given.mcp_call, {"task": {"deadline": "2026-11-23T09:30:01Z"}})
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_nobody_knows_the_deadline if {
	document := json.remove(given.mcp_call, ["context/task/deadline"])
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-15"}}
}
