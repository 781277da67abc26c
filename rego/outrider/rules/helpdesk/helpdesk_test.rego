package outrider.rules.helpdesk_test

import data.outrider.testing_test as given

answering(ticket) := given.with_action(given.mcp_send, {"arguments": {"ticket_id": ticket}})

test_a_ticket_under_legal_hold_is_not_answered if {
	given.verdict(answering("9001")) == {"effect": "deny", "codes": {"HD-01"}}
}

test_another_ticket_is if given.verdict(answering("4711")) == {"effect": "allow", "codes": set()}

test_a_ticket_that_is_not_plain_is_not_answered if {
	given.verdict(answering(9001)).effect == "deny"
	given.verdict(answering(null)).effect == "deny"
	given.verdict(answering(["9001"])).effect == "deny"
}

test_while_listing_no_ticket_is_named_yet if {
	document := given.with_action(given.mcp_send, {"phase": "list", "arguments": null})
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_people_are_listed_in_small_pieces if {
	decision := data.outrider.decision with input as given.http_read
	decision.effect == "allow"
	decision.obligations == {{"type": "limit", "response_bytes": 262144}}
}
