package outrider.controls.identity_scope_test

import data.outrider.testing_test as given

test_an_identity_of_another_environment_is_denied if {
	given.verdict(given.with_subject(given.mcp_call, {"environment": "test"})).codes == {"ID-02"}
	given.verdict(given.with_context(given.mcp_call, {"environment": "staging"})).codes == {"ID-02"}
}

test_its_own_environment_is_its_own if given.verdict(given.mcp_call) == {"effect": "allow", "codes": set()}

test_another_spelling_is_another_environment if {
	given.verdict(given.with_subject(given.mcp_call, {"environment": "Prod"})).effect == "deny"
}

test_an_agent_without_one_has_nothing_to_compare if {
	given.verdict(given.with_subject(given.mcp_call, {"environment": null})).codes == set()
	given.verdict(given.with_subject(given.mcp_call, {"environment": ""})).codes == set()
}

test_here_is_not_its_own_while_nobody_says_where_this_is if {
	given.verdict(given.with_context(given.mcp_call, {"environment": ""})).codes == {"ID-02"}
	given.verdict(json.remove(given.mcp_call, ["context/environment"])).codes == {"ID-02"}
}
