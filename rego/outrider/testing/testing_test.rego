# METADATA
# title: Inputs for tests
# description: |
#   The same documents as in fixtures/, for `opa test`, which reads no other YAML from a bundle.
package outrider.testing_test

# The verdict on `document`: effect, and the codes of its reasons.
verdict(document) := {"effect": decision.effect, "codes": {reason.code | some reason in decision.reasons}} if {
	decision := data.outrider.decision with input as document
}

# `document` with the subject's, action's and resource's properties changed.
with_subject(document, properties) := object.union(document, {"subject": {"properties": properties}})

with_action(document, properties) := object.union(document, {"action": {"properties": properties}})

with_resource(document, properties) := object.union(document, {"resource": {"properties": properties}})

with_context(document, facts) := object.union(document, {"context": facts})

with_behaviour(document, facts) := object.union(document, {"context": {"behaviour": facts}})

# An argument's provenance.
argument(role, label) := {"role": role, "label": label, "sources": [], "tokens": [], "secrets": []}

mcp_call := {
	"version": "outrider.input/v1",
	"subject": {
		"type": "agent",
		"id": "spiffe://acme.test/ns/support/sa/triage",
		"properties": {
			"trust_domain": "acme.test",
			"credential": "attested-local",
			"expires_at": null,
			"instance": "host:7f3c2a10",
			"owner": "team-support",
			"sponsor": "alice@acme.test",
			"tier": "standard",
			"environment": "prod",
			"status": "active",
		},
	},
	"action": {
		"name": "tools/call",
		"properties": {
			"protocol": "mcp",
			"phase": "request",
			"effect": "read",
			"class": "read",
			"reversible": true,
			"impact": "low",
			"arguments": {
				"query": "printer jam",
			},
			"arguments_digest": "sha256:8e35c2cd3bf6641bdb0e2050b76932cbb2e6034a0ddacc1d9bea82a6ba57f7cf",
			"body": "judged",
			"schema_valid": true,
			"destinations": [
				{
					"pointer": null,
					"value": null,
					"host": "notes.acme.test",
					"zone": "internal",
					"first_seen": false,
				},
			],
			"provenance": {},
			"provenance_incomplete": false,
		},
	},
	"resource": {
		"type": "tool",
		"id": "notes/search_notes",
		"properties": {
			"upstream": "notes",
			"sensitivity": "internal",
			"owner": "team-support",
			"declared": true,
			"tags": [],
			"tenant": null,
			"destination": {
				"host": "notes.acme.test",
				"port": 443,
				"ip_class": "private",
				"zone": "internal",
				"first_seen": false,
			},
			"definition": {
				"digest": "sha256:18ac3e7343f016890c510e93f935261169d9e3f565436429830faf0934f4f8e4",
				"pinned": true,
			},
		},
	},
	"context": {
		"time": {
			"rfc3339": "2026-11-23T09:30:00Z",
			"unix_s": 1795426200,
			"weekday": "monday",
			"minute_of_day": 570,
		},
		"environment": "prod",
		"request": {
			"id": "01939b2e-6c1a-7f00-8000-000000000001",
			"direction": "egress",
			"method": "POST",
			"scheme": "http",
			"host": "127.0.0.1:15001",
			"path": "/mcp/notes",
			"parsed_path": [
				"mcp",
				"notes",
			],
			"parsed_query": {},
			"headers": {
				"user-agent": "triage/1.0",
			},
		},
		"task": {
			"id": "standing:triage",
			"state": "active",
			"purpose": "read and answer support tickets",
			"purpose_digest": "sha256:148de9c5a7a44d19e56cd9ae1a554bf67847afb0c58f6e12fa29ac7ddfca9940",
			"principal": null,
			"template": null,
			"deadline": null,
			"standing": true,
			"grant": {
				"tools": [
					"notes/*",
					"tickets/*",
					"people/*",
				],
				"effects": [
					"read",
					"write",
					"send",
					"share",
					"pay",
					"delete",
					"execute",
				],
				"destinations": [
					"acme.test",
					"*.acme.test",
					"*.example",
				],
				"sensitivity": "confidential",
				"arguments": {
					"tickets/refund": {
						"/ticket_id": {
							"required": true,
							"max_length": 32,
						},
						"/amount": {
							"required": true,
							"min": 0,
							"max": 100,
						},
					},
				},
			},
			"grant_revision": 1,
			"budget": {
				"calls": {
					"used": 0,
					"limit": null,
				},
				"spend": {
					"used": 0,
					"limit": null,
					"unit": "usd",
				},
				"tokens": {
					"used": 0,
					"limit": null,
				},
				"records": {
					"used": 0,
					"limit": null,
				},
				"bytes": {
					"used": 0,
					"limit": null,
				},
			},
		},
		"behaviour": {
			"flags": {
				"untrusted_read": false,
				"sensitive_read": false,
				"external_send": false,
			},
			"highest_sensitivity_read": null,
			"counters": {
				"calls_60s": 0,
				"denials_300s": 0,
				"records_read": 0,
				"bytes_out": {},
				"distinct_destinations": 0,
			},
			"recent": [],
			"repeats": {
				"same_action_60s": 0,
				"same_target_after_deny": false,
			},
			"tags": {},
			"signals": {
				"amount_target_24h": null,
				"approval_misuse": false,
				"beacon": null,
				"bytes_read": 0,
				"consent_other_agent": false,
				"deletes_60s": 0,
				"denied_tools_300s": 0,
				"secret_denials": 0,
				"distinct_subjects": 0,
				"first_use": false,
				"instances_60s": 1,
				"listed": null,
				"oscillation": 0,
				"outside_template": false,
				"rejected_same_3600s": 0,
				"secret_destinations": 0,
				"target_age_s": null,
			},
		},
		"model_call": null,
		"delegation": {
			"depth": 0,
			"chain": [],
			"flags": {},
			"root_principal": null,
		},
		"approval": {
			"state": "none",
			"id": null,
			"approvers": [],
		},
	},
}

mcp_list := object.union(mcp_call, {
	"action": {
		"name": "tools/list",
		"properties": {
			"phase": "list",
			"arguments": null,
			"arguments_digest": null,
			"body": "none",
			"schema_valid": null,
		},
	},
	"resource": {
		"id": "notes/read_note",
	},
})

mcp_send := object.union(json.remove(mcp_call, ["action/properties/arguments"]), {
	"action": {
		"properties": {
			"effect": "send",
			"class": "write",
			"reversible": false,
			"destinations": [
				{
					"pointer": null,
					"value": null,
					"host": "tickets.acme.test",
					"zone": "internal",
					"first_seen": false,
				},
				{
					"pointer": "/to",
					"value": "kim@customer.example",
					"host": "customer.example",
					"zone": "external",
					"first_seen": false,
				},
			],
			"arguments": {
				"ticket_id": "4711",
				"to": "kim@customer.example",
				"body": "Please try the other tray.",
			},
		},
	},
	"resource": {
		"id": "tickets/reply",
		"properties": {
			"upstream": "tickets",
			"sensitivity": "confidential",
			"destination": {
				"host": "tickets.acme.test",
			},
		},
	},
	"context": {
		"request": {
			"path": "/mcp/tickets",
			"parsed_path": [
				"mcp",
				"tickets",
			],
		},
	},
})

mcp_pay := object.union(json.remove(mcp_call, ["action/properties/arguments"]), {
	"action": {
		"properties": {
			"effect": "pay",
			"class": "write",
			"reversible": false,
			"impact": "high",
			"destinations": [
				{
					"pointer": null,
					"value": null,
					"host": "tickets.acme.test",
					"zone": "internal",
					"first_seen": false,
				},
			],
			"arguments": {
				"ticket_id": "4711",
				"amount": 40,
			},
		},
	},
	"resource": {
		"id": "tickets/refund",
		"properties": {
			"upstream": "tickets",
			"sensitivity": "confidential",
			"destination": {
				"host": "tickets.acme.test",
			},
		},
	},
	"context": {
		"behaviour": {
			"signals": {
				"amount_target_24h": 40,
			},
		},
		"request": {
			"path": "/mcp/tickets",
			"parsed_path": [
				"mcp",
				"tickets",
			],
		},
	},
})

http_read := object.union(json.remove(mcp_call, ["action/properties/arguments"]), {
	"action": {
		"name": "GET /people/{id}",
		"properties": {
			"protocol": "http",
			"body": "none",
			"schema_valid": null,
			"destinations": [
				{
					"pointer": null,
					"value": null,
					"host": "people.acme.test",
					"zone": "internal",
					"first_seen": false,
				},
			],
			"arguments": {
				"id": "p-17",
			},
		},
	},
	"resource": {
		"type": "api",
		"id": "people/GET /people/{id}",
		"properties": {
			"upstream": "people",
			"sensitivity": "confidential",
			"owner": "team-people",
			"destination": {
				"host": "people.acme.test",
			},
			"definition": null,
		},
	},
	"context": {
		"request": {
			"method": "GET",
			"path": "/api/people/p-17",
			"parsed_path": [
				"api",
				"people",
				"p-17",
			],
		},
	},
})
