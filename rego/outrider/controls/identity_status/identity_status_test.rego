package outrider.controls.identity_status_test

import data.outrider.testing_test as given

test_an_agent_that_is_out_is_denied if {
	given.verdict(given.with_subject(given.mcp_call, {"status": "quarantined"})).codes == {"EF-00", "ID-03"}
	given.verdict(given.with_subject(given.mcp_call, {"status": "offboarded"})).codes == {"EF-00", "ID-03"}
}

test_an_active_agent_is_not if given.verdict(given.mcp_call) == {"effect": "allow", "codes": set()}

test_data_is_enough if {
	decision := data.outrider.decision with input as given.mcp_call
		with data.outrider.agents as {given.mcp_call.subject.id: {"status": "offboarded"}}
	decision.effect == "deny"
	{reason.code | some reason in decision.reasons} == {"ID-03"}
}

test_neither_shadow_nor_off_lets_it_in if {
	document := given.with_subject(given.mcp_call, {"status": "quarantined"})
	off := data.outrider.decision with input as document with data.outrider.rules["ID-03"].mode as "off"
	off.effect == "deny"
	shadow := data.outrider.decision with input as document with data.outrider.rules["ID-03"].mode as "shadow"
	shadow.effect == "deny"
}
