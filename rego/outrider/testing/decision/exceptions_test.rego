package outrider.testing.decision_test

import data.outrider.testing_test as given

rows := {"EF-04": {"exemptible": true, "refs": []}, "CE-01": {"exemptible": true}, "PV-04": {"exemptible": true}}

whole := {
	"code": "EF-04",
	"until": "2026-12-01T00:00:00Z",
	"owner": "security",
	"reason": "migration",
	"ticket": "OPS-17",
}

with_exception(change) := decision if {
	# regal ignore:prefer-value-in-head
	decision := data.outrider.decision with input as admin
		with data.outrider.catalogue as rows
		with data.outrider.exceptions as {"exc-1": object.union(whole, change)}
}

effect_with(change) := with_exception(change).effect

test_an_exception_lifts_the_finding_and_is_told if {
	with_exception({}) == {
		"effect": "allow",
		"reasons": {{
			"code": "EF-04",
			"message": "exception exc-1: an administrative action needs a person",
			"mode": "enforce",
			"severity": "info",
			"refs": [],
			"exception": "exc-1",
		}},
		"obligations": set(),
		"revision": "",
	}
}

test_it_is_of_whom_what_and_which_effect_it_names if {
	effect_with({"subject": given.mcp_call.subject.id, "resource": "notes/*", "effect": "admin"}) == "allow"
	effect_with({"subject": "spiffe://acme.test/ns/support/sa/other"}) == "hold"
	effect_with({"resource": "tickets/*"}) == "hold"
	effect_with({"effect": "pay"}) == "hold"
	effect_with({"resource": null}) == "hold"
	effect_with({"subject": null}) == "hold"
	effect_with({"effect": ["admin"]}) == "hold"
}

test_it_ends_at_its_time_and_reaches_90_days_ahead if {
	effect_with({"until": "2026-11-23T09:30:01Z"}) == "allow"
	effect_with({"until": "2026-11-23T09:30:00Z"}) == "hold"
	effect_with({"until": "2026-11-24"}) == "allow"
	effect_with({"until": "2026-11-23"}) == "hold"
	effect_with({"until": "2027-02-21T09:30:00Z"}) == "allow"
	effect_with({"until": "2027-02-21T09:30:01Z"}) == "hold"
	effect_with({"until": null}) == "hold"
}

test_another_code_or_none_lifts_nothing if {
	effect_with({"code": "EF-03"}) == "hold"
	effect_with({"code": null}) == "hold"
}

test_a_key_that_is_not_known_makes_it_none if effect_with({"subjekt": "x"}) == "hold"

test_data_that_is_no_exceptions_lifts_nothing if {
	decision := data.outrider.decision with input as admin
		with data.outrider.catalogue as rows
		with data.outrider.exceptions as [whole]
	decision.effect == "hold"
	broken := data.outrider.decision with input as admin
		with data.outrider.catalogue as rows
		with data.outrider.exceptions as {"exc-1": "EF-04"}
	broken.effect == "hold"
}

test_what_takes_no_exceptions_gets_none if {
	decision := data.outrider.decision with input as admin
		with data.outrider.catalogue as {"EF-04": {"exemptible": false}}
		with data.outrider.exceptions as {"exc-1": whole}
	decision.effect == "hold"
	without_a_row := data.outrider.decision with input as admin
		with data.outrider.catalogue as {}
		with data.outrider.exceptions as {"exc-1": whole}
	without_a_row.effect == "hold"
}

test_some_take_none_whatever_their_row_says if {
	some code in ["CE-01", "PV-04"]
	found := {"code": code, "effect": "deny", "message": ""}
	decision := data.outrider.decision with input as given.mcp_call
		with data.outrider.rules.findings as {found}
		with data.outrider.catalogue as rows
		with data.outrider.exceptions as {"exc-1": object.union(whole, {"code": code})}
	decision.effect == "deny"
}

test_it_lifts_no_default_deny if {
	decision := data.outrider.decision with input as given.with_context(admin, {"task": null})
		with data.outrider.catalogue as object.union(rows, {"EF-00": {"exemptible": true}})
		with data.outrider.exceptions as {"exc-1": object.union(whole, {"code": "EF-00"})}
	decision.effect == "deny"
}
