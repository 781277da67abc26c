package outrider.controls.customer_send_test

import data.outrider.testing_test as given

agents := {given.mcp_send.subject.id: {"class": "customer-facing"}}

codes(document) := {finding.code | some finding in findings} if {
	findings := data.outrider.controls.customer_send.findings with input as document
		with data.outrider.agents as agents
}

test_what_a_customer_facing_agent_sends_outside_is_held if codes(given.mcp_send) == {"EF-07"}

test_what_it_sends_to_a_colleague_is_not if {
	inside := [{"pointer": null, "zone": "internal"}, {"pointer": "/to", "zone": "internal"}]
	codes(given.with_action(given.mcp_send, {"destinations": inside})) == set()
}

test_what_it_sends_to_nobody_known_is_held if {
	codes(json.remove(given.mcp_send, ["action/properties/destinations"])) == {"EF-07"}
	codes(given.with_action(given.mcp_send, {"destinations": null})) == {"EF-07"}
	codes(given.with_action(given.mcp_send, {"destinations": []})) == {"EF-07"}
	codes(given.with_action(given.mcp_send, {"destinations": [{"pointer": null, "zone": "internal"}]})) == {"EF-07"}
}

test_another_class_of_agent_is_free if {
	findings := data.outrider.controls.customer_send.findings with input as given.mcp_send
		with data.outrider.agents as {given.mcp_send.subject.id: {"class": "internal"}}
	findings == set()
}
