package outrider.controls.payment_test

import data.outrider.testing_test as given

paying(amount) := given.with_action(given.mcp_pay, {"arguments": {"ticket_id": "4711", "amount": amount}})

limited(amount, limit) := decision.effect if {
	decision := data.outrider.decision with input as paying(amount)
		with data.outrider.rules["EF-02"].limits as {"pay_auto": limit}
}

test_a_payment_is_held if given.verdict(paying(1)) == {"effect": "hold", "codes": {"EF-02"}}

test_a_payment_up_to_the_limit_is_not if {
	limited(40, 40) == "allow"
	limited(41, 40) == "hold"
}

test_a_limit_that_is_no_number_is_0 if {
	limited(1, "40") == "hold"
	limited(1, null) == "hold"
}

test_the_reason_points_at_the_amount if {
	decision := data.outrider.decision with input as paying(40)
	{reason.pointer | some reason in decision.reasons} == {"/amount"}
	{obligation.group | some obligation in decision.obligations} == {"finance"}
}

test_an_amount_that_is_none_is_denied if {
	given.verdict(paying(null)).effect == "deny"
	given.verdict(paying("40")).effect == "deny"
	given.verdict(paying(-40)).effect == "deny"
	given.verdict(paying([0])).effect == "deny"
	given.verdict(json.remove(given.mcp_pay, ["action/properties/arguments"])).effect == "deny"
}

test_an_approval_passes_no_amount_that_is_none if {
	granted := {"approval": {"state": "granted", "id": "apr_1", "approvers": []}}
	given.verdict(given.with_context(paying(-40), granted)).effect == "deny"
	given.verdict(given.with_context(paying(40), granted)).effect == "allow"
}

test_while_listing_a_payment_is_held_not_denied if {
	listing := given.with_action(given.mcp_pay, {"phase": "list", "arguments": null})
	given.verdict(listing) == {"effect": "hold", "codes": {"EF-02"}}
}
