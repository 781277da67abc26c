package outrider.controls.without_task_test

import data.outrider.testing_test as given

taskless := given.with_context(given.mcp_call, {"task": null})

test_without_a_task_security_is_told if {
	given.verdict(taskless) == {"effect": "deny", "codes": {"EF-00", "ID-04"}}
	decision := data.outrider.decision with input as taskless
	decision.obligations == {{"type": "notify", "channel": "security", "severity": "high"}}
}

test_at_work_on_a_task_nobody_is if {
	given.verdict(given.mcp_call) == {"effect": "allow", "codes": set()}
	decision := data.outrider.decision with input as given.mcp_call
	decision.obligations == set()
}

test_a_person_needs_no_task_to_be_one if {
	given.verdict(object.union(taskless, {"subject": {"type": "person"}})).codes == {"EF-00"}
}

test_a_task_of_another_shape_is_not_none if {
	given.verdict(given.with_context(given.mcp_call, {"task": {"state": "suspended"}})).codes == {"EF-00"}
}
