package outrider.testing.task_test

operator := {"type": "service", "id": "control:operator", "properties": {}}

agent := "spiffe://acme.test/ns/support/sa/triage"

granted := {"tools": ["crm/*"], "effects": ["read"]}

template := {"triage": {
	"grant": granted,
	"register": {
		"by": ["control:operator"],
		"agents": ["spiffe://acme.test/ns/support/*"],
		"principals": ["oidc:*"],
	},
}}

asks(arguments) := {
	"version": "outrider.input/v1",
	"subject": operator,
	"action": {"name": "tasks/create", "properties": {"arguments": object.union(
		{
			"agent": agent,
			"template": "triage",
			"principal": null,
			"parent": null,
			"parent_agent": null,
			"granted": granted,
			"exceeds": [],
		},
		arguments,
	)}},
	"resource": {"type": "agent", "id": agent, "properties": {}},
	"context": {"task": null},
}

answer(document) := found if {
	# regal ignore:prefer-value-in-head
	found := data.outrider.task with input as document
		with data.outrider.templates as template
		with data.outrider.agents as {
			agent: {"status": "active"},
			"spiffe://acme.test/ns/support/sa/gone": {"status": "offboarded"},
			"spiffe://acme.test/ns/sales/sa/caller": {"status": "active"},
		}
}

by(id, document) := object.union(document, {"subject": {"id": id}})

child(arguments) := object.union(
	asks(object.union(
		{"template": null, "parent": "tsk_1", "parent_agent": agent},
		arguments,
	)),
	{"context": {"task": {"id": "tsk_1"}}},
)

test_a_task_gets_what_its_template_gives if {
	answer(asks({})) == {
		"effect": "allow",
		"reasons": [],
		"obligations": [{"type": "narrow", "grant": granted}],
		"revision": data.outrider.revision,
	}
}

test_what_goes_beyond_its_template_waits_for_a_person if {
	said := answer(asks({"exceeds": ["tools", "effects"]}))
	said.effect == "hold"
	said.obligations[0].type == "approval"
	said.reasons[0].message == concat(" ", [
		"more is asked for than the template gives: tools, effects",
		"(what an ask leaves out it asks for whole)",
	])
}

test_a_template_nobody_wrote_waits_for_a_person if {
	answer(asks({"template": "nothing", "exceeds": ["template"]})).effect == "hold"
	answer(asks({"template": null, "exceeds": ["template"]})).effect == "hold"
}

test_a_template_nobody_wrote_gives_nothing_though_nothing_exceeds_it if {
	answer(asks({"template": "nothing"})).effect == "deny"
	answer(asks({"template": null})).effect == "deny"
}

test_only_whom_the_template_names_registers_it if {
	answer(by("control:other", asks({}))).effect == "deny"
	answer(by(agent, asks({}))).effect == "deny"
	answer(by("control:other", asks({"exceeds": ["template"], "template": "nothing"}))).effect == "deny"
}

test_only_for_agents_the_template_names if {
	answer(asks({"agent": "spiffe://acme.test/ns/sales/sa/caller"})).effect == "deny"
}

test_never_for_an_agent_that_is_gone_or_unknown if {
	answer(asks({"agent": "spiffe://acme.test/ns/support/sa/gone"})).effect == "deny"
	answer(asks({"agent": "spiffe://acme.test/ns/support/sa/nobody"})).effect == "deny"
	answer(asks({"agent": null})).effect == "deny"
}

test_only_in_the_name_of_principals_the_template_names if {
	answer(asks({"principal": "oidc:alice@corp"})).effect == "allow"
	answer(asks({"principal": "spiffe://acme.test/x"})).effect == "deny"
}

test_a_child_is_registered_by_its_parents_own_agent if {
	answer(by(agent, child({}))).effect == "allow"
	answer(child({})).effect == "allow"
	answer(by("spiffe://acme.test/ns/support/sa/else", child({}))).effect == "deny"
}

test_without_a_parent_an_agent_registers_nothing if {
	answer(by(agent, asks({"template": null, "parent_agent": agent}))).effect == "deny"
}

test_another_action_is_no_registration if {
	document := asks({})
	other := object.union(document, {"action": {"name": "tools/call"}})
	answer(other).effect == "deny"
}
