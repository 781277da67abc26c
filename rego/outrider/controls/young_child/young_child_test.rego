package outrider.controls.young_child_test

import data.outrider.testing_test as given

test_299_s_old if {
	first := given.with_action(given.mcp_call, {"effect": "admin", "class": "execute"})
	document := given.with_context(first, {
		"delegation": {
			"depth": 1,
			"chain": [
				{
					"id": "spiffe://acme.test/ns/support/sa/lead",
					"grant_digest": "sha256:00",
					"expires_at": "2026-11-23T10:00:00Z",
					"age_s": 9000,
				},
				{
					"id": "spiffe://acme.test/ns/support/sa/triage",
					"grant_digest": "sha256:01",
					"expires_at": "2026-11-23T10:00:00Z",
					"age_s": 299,
				},
			],
			"flags": {},
			"root_principal": "oidc:alice@acme.test",
		},
	})
	verdict := given.verdict(document) with data.outrider.rules["SQ-07"].mode as "enforce"
	verdict == {"effect": "hold", "codes": {"EF-04", "SQ-07"}}
}

test_301_s_old if {
	first := given.with_action(given.mcp_call, {"effect": "admin", "class": "execute"})
	document := given.with_context(first, {
		"delegation": {
			"depth": 1,
			"chain": [
				{
					"id": "spiffe://acme.test/ns/support/sa/lead",
					"grant_digest": "sha256:00",
					"expires_at": "2026-11-23T10:00:00Z",
					"age_s": 9000,
				},
				{
					"id": "spiffe://acme.test/ns/support/sa/triage",
					"grant_digest": "sha256:01",
					"expires_at": "2026-11-23T10:00:00Z",
					"age_s": 301,
				},
			],
			"flags": {},
			"root_principal": "oidc:alice@acme.test",
		},
	})
	verdict := given.verdict(document) with data.outrider.rules["SQ-07"].mode as "enforce"
	verdict == {"effect": "hold", "codes": {"EF-04"}}
}

test_nobody_knows_its_age if {
	first := given.with_action(given.mcp_call, {"effect": "admin", "class": "execute"})
	document := given.with_context(first, {
		"delegation": {
			"depth": 1,
			"chain": [
				{
					"id": "spiffe://acme.test/ns/support/sa/lead",
					"grant_digest": "sha256:00",
					"expires_at": "2026-11-23T10:00:00Z",
					"age_s": 9000,
				},
				{
					"id": "spiffe://acme.test/ns/support/sa/triage",
					"grant_digest": "sha256:01",
					"expires_at": "2026-11-23T10:00:00Z",
					"age_s": null,
				},
			],
			"flags": {},
			"root_principal": "oidc:alice@acme.test",
		},
	})
	verdict := given.verdict(document) with data.outrider.rules["SQ-07"].mode as "enforce"
	verdict == {"effect": "hold", "codes": {"EF-04", "SQ-07"}}
}
