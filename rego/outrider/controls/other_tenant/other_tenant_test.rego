package outrider.controls.other_tenant_test

import data.outrider.testing_test as given

test_another_tenant if {
	first := given.with_resource(given.mcp_call, {"tenant": "globex"})
	document := given.with_context(first, {
		"task": {
			"principal": {
				"id": "oidc:alice@acme.test",
				"tenant": "acme",
				"acr": "mfa",
				"auth_time": 1795420000,
			},
		},
	})
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-18"}}
}

test_the_same_tenant if {
	first := given.with_resource(given.mcp_call, {"tenant": "acme"})
	document := given.with_context(first, {
		"task": {
			"principal": {
				"id": "oidc:alice@acme.test",
				"tenant": "acme",
				"acr": "mfa",
				"auth_time": 1795420000,
			},
		},
	})
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_nobody_knows_whom_the_agent_works_for if {
	document := given.with_resource(given.mcp_call, {"tenant": "acme"})
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-18"}}
}
