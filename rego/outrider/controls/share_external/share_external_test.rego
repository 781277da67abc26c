package outrider.controls.share_external_test

import data.outrider.testing_test as given

share(destinations) := given.with_action(given.mcp_call, {
	"effect": "share",
	"class": "write",
	"destinations": destinations,
})

own := {"pointer": null, "zone": "internal"}

test_sharing_outside_is_held if {
	document := share([own, {"pointer": "/to", "zone": "external"}])
	given.verdict(document) == {"effect": "hold", "codes": {"SQ-08", "SQ-31"}}
}

test_sharing_with_a_colleague_is_not if {
	document := share([own, {"pointer": "/to", "zone": "internal"}])
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_one_destination_outside_is_enough if {
	document := share([own, {"pointer": "/to", "zone": "internal"}, {"pointer": "/cc", "zone": "external"}])
	given.verdict(document).effect == "hold"
}

test_a_share_without_a_known_destination_is_held if {
	given.verdict(share([own])).effect == "hold"
	given.verdict(share([])).effect == "hold"
	given.verdict(share(null)).effect == "hold"
	given.verdict(share("internal")).effect == "hold"
	given.verdict(share([own, {"pointer": "/to"}])).effect == "hold"
}
