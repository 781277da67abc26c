package outrider.controls.execution_test

import data.outrider.testing_test as given

manifest := {"notes": {"tools": {"search_notes": {"arguments": {"query": {"role": "command"}}}}}}

execute := given.with_action(given.mcp_call, {"effect": "execute", "class": "execute"})

grant(constraint) := given.with_context(execute, {"task": {"grant": {"arguments": {execute.resource.id: constraint}}}})

codes(document) := {finding.code | some finding in findings} if {
	findings := data.outrider.controls.execution.findings with input as document
		with data.outrider.manifest as manifest
}

test_a_command_the_grant_names_is_run if {
	codes(grant({"/query": {"in": ["printer jam", "restart"]}})) == set()
	codes(grant({"/query": {"equals": "printer jam"}})) == set()
}

test_another_command_is_denied if {
	codes(grant({"/query": {"in": ["restart"]}})) == {"EF-05"}
	codes(grant({"/query": {"in": ["printer jam; id"]}})) == {"EF-05"}
	codes(grant({"/other": {"in": ["printer jam"]}})) == {"EF-05"}
	codes(execute) == {"EF-05"}
}

test_a_command_that_could_be_granted_is_listed if {
	listing := {"phase": "list", "arguments": null}
	codes(given.with_action(grant({"/query": {"in": ["restart"]}}), listing)) == set()
	codes(given.with_action(execute, listing)) == {"EF-05"}
}

test_a_missing_command_is_denied if {
	codes(given.with_action(grant({"/query": {"in": ["printer jam"]}}), {"arguments": null})) == {"EF-05"}
}

test_a_phase_we_do_not_know_is_denied if {
	document := grant({"/query": {"in": ["printer jam"]}})
	codes(given.with_action(document, {"phase": "response"})) == {"EF-05"}
}

test_a_grant_of_another_form_names_nothing if {
	codes(grant({"/query": {"in": "printer jam"}})) == {"EF-05"}
	codes(grant({"/query": {"prefix": "printer"}})) == {"EF-05"}
}

test_a_tool_without_a_command_is_denied if {
	findings := data.outrider.controls.execution.findings with input as grant({"/query": {"in": ["printer jam"]}})
	{finding.code | some finding in findings} == {"EF-05"}
}
