package outrider.controls.deployment_test

import data.outrider.testing_test as given

deploy := given.with_resource(
	given.with_action(given.mcp_call, {"effect": "write", "class": "write"}),
	{"tags": ["deploy"]},
)

elsewhere := given.with_subject(given.with_context(deploy, {"environment": "dev"}), {"environment": "dev"})

test_a_deployment_to_production_is_held if given.verdict(deploy) == {"effect": "hold", "codes": {"EF-08"}}

test_a_deployment_elsewhere_is_not if given.verdict(elsewhere) == {"effect": "allow", "codes": set()}

test_a_read_by_the_same_tool_is_not if {
	document := given.with_action(deploy, {"effect": "read", "class": "read"})
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_where_nobody_says_it_is_production if {
	"EF-08" in given.verdict(given.with_context(elsewhere, {"environment": null})).codes
	"EF-08" in given.verdict(given.with_context(elsewhere, {"environment": ""})).codes
	given.verdict(given.with_subject(elsewhere, {"environment": null})).effect == "hold"
	given.verdict(given.with_subject(
		given.with_context(elsewhere, {"environment": "Prod"}),
		{"environment": "Prod"},
	)).effect == "hold"
}

test_without_tags_anything_may_be_a_deployment if {
	"EF-08" in given.verdict(given.with_resource(deploy, {"tags": null})).codes
	"EF-08" in given.verdict(json.remove(deploy, ["resource/properties/tags"])).codes
}
