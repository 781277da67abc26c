package outrider.controls.unread_tunnel_test

import data.outrider.testing_test as given

tunnel := given.with_resource(
	given.with_action(
		object.union(
			given.mcp_call,
			{"action": {"name": "CONNECT"}, "resource": {"type": "host", "id": "notes/notes.acme.test:443"}},
		),
		{
			"protocol": "connect",
			"effect": "send",
			"class": "write",
			"arguments": null,
			"arguments_digest": null,
			"body": "opaque",
			"schema_valid": null,
		},
	),
	{"definition": null},
)

test_a_declared_tunnel_that_sends_may_pass if given.verdict(tunnel) == {"effect": "allow", "codes": set()}

test_one_that_nobody_declared_is_denied if {
	verdict := given.verdict(given.with_resource(tunnel, {"declared": false}))
	verdict.effect == "deny"
	"TS-08" in verdict.codes
}

test_elsewhere_than_in_production_too if {
	elsewhere := given.with_subject(given.with_context(tunnel, {"environment": "dev"}), {"environment": "dev"})
	verdict := given.verdict(given.with_resource(elsewhere, {"declared": false}))
	verdict.effect == "deny"
	"TS-08" in verdict.codes
}

test_one_that_is_called_a_read_is_denied if {
	verdict := given.verdict(given.with_action(tunnel, {"effect": "read", "class": "read"}))
	verdict == {"effect": "deny", "codes": {"TS-08"}}
}

test_a_graver_class_than_its_effects_own_may_pass if {
	verdict := given.verdict(given.with_action(tunnel, {"class": "execute"}))
	verdict == {"effect": "allow", "codes": set()}
}

test_what_says_nothing_of_declared_or_class_is_denied if {
	given.verdict(json.remove(tunnel, ["resource/properties/declared"])).effect == "deny"
	given.verdict(json.remove(tunnel, ["action/properties/class"])).effect == "deny"
}

test_what_is_read_is_none if given.verdict(given.mcp_call) == {"effect": "allow", "codes": set()}
