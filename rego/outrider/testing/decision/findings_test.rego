package outrider.testing.decision_test

import data.outrider.testing_test as given

on_team(finding) := object.filter(decision, ["effect", "obligations"]) if {
	decision := data.outrider.decision with input as given.mcp_call with data.outrider.rules.findings as {finding}
}

in_shadow(until) := decision.effect if {
	decision := data.outrider.decision with input as admin
		with data.outrider.shadow as {"upstreams": ["notes"], "effects": ["admin"], "until": until}
}

test_a_team_may_deny_hold_and_oblige if {
	on_team({"code": "HD-09", "effect": "deny", "message": ""}).effect == "deny"
	on_team({"code": "HD-09", "effect": "hold", "message": ""}).effect == "hold"
	limit := {"type": "limit", "records": 5}
	finding := {"code": "HD-09", "effect": "oblige", "message": "", "obligations": [limit]}
	on_team(finding) == {"effect": "allow", "obligations": {limit}}
}

test_a_team_may_not_allow if {
	on_team({"code": "HD-09", "effect": "allow", "message": ""}).effect == "deny"
}

test_a_teams_finding_that_is_none_is_a_deny if {
	on_team("HD-09").effect == "deny"
	on_team(null).effect == "deny"
	on_team({}).effect == "deny"
	on_team({"code": "HD-09", "effect": "Deny", "message": ""}).effect == "deny"
	on_team({"code": 9, "effect": "oblige", "message": ""}).effect == "deny"
	on_team({"code": "HD-09", "effect": "oblige", "message": null}).effect == "deny"
}

test_a_mistyped_obligation_is_a_deny_rather_than_dropped if {
	on_team({"code": "HD-09", "effect": "oblige", "message": "", "obligation": []}).effect == "deny"
	on_team({"code": "HD-09", "effect": "oblige", "message": "", "obligations": {}}).effect == "deny"
	on_team({"code": "HD-09", "effect": "oblige", "message": "", "obligations": ["limit"]}).effect == "deny"
}

test_a_team_gives_no_credential if {
	credential := {"type": "credential", "provider": "bao", "role": "root"}
	on_team({"code": "HD-09", "effect": "oblige", "message": "", "obligations": [credential]}).effect == "deny"
}

test_a_team_cannot_call_off_what_the_library_found if {
	finding := {"code": "EF-04", "effect": "oblige", "message": "approved by us"}
	decision := data.outrider.decision with input as admin with data.outrider.rules.findings as {finding}
	decision.effect == "hold"
}

test_a_hold_with_its_own_approval_keeps_it if {
	approval := {"type": "approval", "group": "leads", "quorum": 2, "four_eyes": true, "expires_s": 60}
	finding := {"code": "HD-09", "effect": "hold", "message": "", "obligations": [approval]}
	on_team(finding) == {"effect": "hold", "obligations": {approval}}
}

test_a_scope_in_shadow_is_softened_until_its_time if {
	in_shadow("2026-11-23T09:30:01Z") == "allow"
	in_shadow("2026-12-23T09:30:00Z") == "allow"
}

test_a_scope_in_shadow_says_what_it_softened if {
	decision := data.outrider.decision with input as admin
		with data.outrider.shadow as {"upstreams": ["notes"], "effects": ["admin"], "until": "2026-12-01T00:00:00Z"}
	{[reason.code, reason.would, reason.softened] | some reason in decision.reasons} == {["EF-04", "hold", true]}
}

test_a_code_in_shadow_within_a_scope_in_shadow_is_its_own_doing if {
	decision := data.outrider.decision with input as admin
		with data.outrider.rules["EF-04"].mode as "shadow"
		with data.outrider.shadow as {"upstreams": ["notes"], "effects": ["admin"], "until": "2026-12-01T00:00:00Z"}
	{reason.would | some reason in decision.reasons} == {"hold"}
	{true | some reason in decision.reasons; reason.softened} == set()
}

test_a_scope_in_shadow_past_its_time_or_too_far_ahead_is_enforced if {
	in_shadow("2026-11-23T09:30:00Z") == "hold"
	in_shadow("2026-12-23T09:30:01Z") == "hold"
	in_shadow(null) == "hold"
}

test_another_scope_is_enforced if {
	decision := data.outrider.decision with input as admin
		with data.outrider.shadow as {"upstreams": ["tickets"], "effects": ["admin"], "until": "2026-12-01T00:00:00Z"}
	decision.effect == "hold"
}

test_a_scope_in_shadow_does_not_let_in_who_is_not_permitted if {
	decision := data.outrider.decision with input as given.with_context(admin, {"task": null})
		with data.outrider.shadow as {"upstreams": ["notes"], "effects": ["admin"], "until": "2026-12-01T00:00:00Z"}
	decision.effect == "deny"
}
