package outrider.testing.decision_test

import data.outrider.testing_test as given

admin := given.with_action(given.mcp_call, {"effect": "admin", "class": "execute"})

granted := {"approval": {"state": "granted", "id": "apr_1", "approvers": []}}

test_a_read_under_a_standing_grant_is_allowed if {
	given.verdict(given.mcp_call) == {"effect": "allow", "codes": set()}
}

test_a_message_to_a_customer_is_allowed if {
	given.verdict(given.mcp_send) == {"effect": "allow", "codes": set()}
}

test_without_a_task_nothing_is_allowed if {
	verdict := given.verdict(given.with_context(given.mcp_call, {"task": null}))
	verdict == {"effect": "deny", "codes": {"EF-00", "ID-04"}}
}

test_a_task_that_is_not_active_is_denied if {
	document := given.with_context(given.mcp_call, {"task": {"state": "suspended"}})
	given.verdict(document) == {"effect": "deny", "codes": {"EF-00"}}
}

test_an_agent_of_unknown_status_is_denied if {
	document := given.with_subject(given.mcp_call, {"status": null})
	given.verdict(document) == {"effect": "deny", "codes": {"EF-00"}}
}

test_an_effect_in_a_lighter_class_is_denied if {
	document := given.with_action(given.mcp_send, {"class": "read"})
	given.verdict(document) == {"effect": "deny", "codes": {"EF-00"}}
}

test_an_effect_in_a_graver_class_is_allowed if {
	document := given.with_action(given.mcp_call, {"class": "execute"})
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_an_unknown_effect_is_denied if {
	document := given.with_action(given.mcp_call, {"effect": "Read"})
	given.verdict(document) == {"effect": "deny", "codes": {"EF-00"}}
}

test_an_unknown_document_is_denied if {
	given.verdict({}).effect == "deny"
	{"EF-00", "EF-08", "TS-02"} - given.verdict({}).codes == set()
	given.verdict(object.union(given.mcp_call, {"version": "outrider.input/v2"})).effect == "deny"
}

test_a_hold_names_who_may_answer_it if {
	decision := data.outrider.decision with input as admin
	decision.effect == "hold"
	decision.obligations == {{
		"type": "approval",
		"group": "security",
		"quorum": 1,
		"four_eyes": true,
		"expires_s": 900,
	}}
}

test_a_hold_without_settings_asks_strictly if {
	obliged := data.outrider.obliged with input as admin with data.outrider.rules["EF-04"] as {}
	obliged == {{
		"type": "approval",
		"group": "approvers",
		"quorum": 1,
		"four_eyes": true,
		"expires_s": 900,
	}}
}

test_an_approved_hold_is_allowed_and_said if {
	decision := data.outrider.decision with input as given.with_context(admin, granted)
	decision.effect == "allow"
	decision.obligations == set()
	{reason.mode | some reason in decision.reasons} == {"approved"}
}

test_an_approved_hold_still_does_what_else_it_asked_for if {
	notify := {"type": "notify", "channel": "security", "severity": "high"}
	held := {"code": "HD-01", "effect": "hold", "message": "", "obligations": [notify]}
	decision := data.outrider.decision with input as given.with_context(given.mcp_call, granted)
		with data.outrider.rules.findings as {held}
	decision.effect == "allow"
	decision.obligations == {notify}
}

test_no_approval_passes_a_deny if {
	document := given.with_subject(given.with_context(admin, granted), {"status": "quarantined"})
	given.verdict(document) == {"effect": "deny", "codes": {"EF-00", "EF-04", "ID-03"}}
}

test_another_state_of_approval_is_none if {
	document := given.with_context(admin, {"approval": {"state": "approved"}})
	given.verdict(document).effect == "hold"
}

test_a_code_in_shadow_is_said_without_effect if {
	decision := data.outrider.decision with input as admin with data.outrider.rules["EF-04"].mode as "shadow"
	decision.effect == "allow"
	decision.obligations == set()
	{[reason.code, reason.mode] | some reason in decision.reasons} == {["EF-04", "shadow"]}
	{reason.would | some reason in decision.reasons} == {"hold"}
	{true | some reason in decision.reasons; reason.softened} == set()
}

test_what_is_enforced_says_nothing_of_what_it_would_have_been if {
	decision := data.outrider.decision with input as admin
	{true | some reason in decision.reasons; reason.would} == set()
}

test_a_code_that_is_off_is_not_said if {
	decision := data.outrider.decision with input as admin with data.outrider.rules["EF-04"].mode as "off"
	decision.effect == "allow"
	decision.reasons == set()
}

test_an_unknown_mode_is_enforced if {
	decision := data.outrider.decision with input as admin with data.outrider.rules["EF-04"].mode as "Off"
	decision.effect == "hold"
}

test_a_reason_tells_severity_and_refs if {
	reasons := data.outrider.reasons with input as admin
		with data.outrider.catalogue as {"EF-04": {"refs": ["ASI03"]}}
	reasons == {{
		"code": "EF-04",
		"message": "an administrative action needs a person",
		"mode": "enforce",
		"severity": "high",
		"refs": ["ASI03"],
	}}
}

test_the_revision_is_the_builds_or_empty if {
	data.outrider.decision.revision == "" with input as {}
	data.outrider.decision.revision == "r1" with input as {} with data.outrider.build as {"revision": "r1"}
	data.outrider.decision.revision == "" with input as {} with data.outrider.build as {"revision": 1}
}

test_a_task_is_not_registered_yet if {
	data.outrider.task.effect == "deny"
	object.keys(data.outrider.task) == {"effect", "reasons", "obligations", "revision"}
}
