package outrider.testing.decision_test

import data.outrider.testing_test as given

tiers := {
	"high": {"enforce": {"EF-04": "always"}, "approval": {"quorum": 2}},
	"standard": {"enforce": {"EF-04": "external"}},
	"low": {"shadow": ["EF-04", "CE-01"]},
}

of_tier(name, mode) := decision if {
	# regal ignore:prefer-value-in-head
	decision := data.outrider.decision with input as given.with_subject(admin, {"tier": name})
		with data.outrider.tiers as tiers
		with data.outrider.catalogue as rows
		with data.outrider.rules["EF-04"].mode as mode
}

test_a_tier_enforces_what_is_in_shadow_or_off if {
	of_tier("high", "shadow").effect == "hold"
	of_tier("high", "off").effect == "hold"
}

test_an_agent_of_no_known_tier_is_of_the_strictest if {
	of_tier(null, "shadow").effect == "hold"
	of_tier("High", "shadow").effect == "hold"
	of_tier("", "off").effect == "hold"
}

test_what_a_tier_enforces_for_the_outside_stays_soft_inside if {
	of_tier("standard", "shadow").effect == "allow"
	outside := given.with_action(admin, {"destinations": [{"pointer": null, "zone": "external"}]})
	decision := data.outrider.decision with input as given.with_subject(outside, {"tier": "standard"})
		with data.outrider.tiers as tiers
		with data.outrider.rules["EF-04"].mode as "shadow"
	decision.effect == "hold"
}

test_a_tier_may_soften_what_takes_exceptions_and_nothing_else if {
	of_tier("low", "enforce").effect == "allow"
	found := {"code": "CE-01", "effect": "deny", "message": ""}
	decision := data.outrider.decision with input as given.with_subject(given.mcp_call, {"tier": "low"})
		with data.outrider.rules.findings as {found}
		with data.outrider.catalogue as rows
		with data.outrider.tiers as tiers
	decision.effect == "deny"
}

test_a_tier_asks_more_of_an_approval if {
	{obligation.quorum | some obligation in of_tier("high", "enforce").obligations} == {2}
	{obligation.quorum | some obligation in of_tier("standard", "enforce").obligations} == {1}
}

test_without_tiers_the_codes_own_mode_stands if {
	decision := data.outrider.decision with input as admin
		with data.outrider.tiers as null
		with data.outrider.rules["EF-04"].mode as "shadow"
	decision.effect == "allow"
}
