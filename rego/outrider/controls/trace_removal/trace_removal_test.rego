package outrider.controls.trace_removal_test

import data.outrider.testing_test as given

test_after_a_write if {
	first := given.with_action(given.mcp_call, {
		"effect": "delete",
		"class": "write",
		"reversible": true,
		"provenance": {"/query": given.argument("target", "user")},
	})
	second := given.with_resource(first, {"tags": ["backup"]})
	document := given.with_behaviour(second, {
		"recent": [
			{
				"id": "evt_2",
				"age_s": 2,
				"resource": "notes/read_note",
				"effect": "read",
				"sensitivity": "internal",
				"destination": "notes.acme.test",
				"labels": [],
				"outcome": "ok",
			},
			{
				"id": "evt_9",
				"age_s": 9,
				"resource": "notes/read_note",
				"effect": "write",
				"sensitivity": "internal",
				"destination": "notes.acme.test",
				"labels": [],
				"outcome": "ok",
			},
		],
	})
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-21"}}
}

test_first_in_the_task if {
	first := given.with_action(given.mcp_call, {
		"effect": "delete",
		"class": "write",
		"reversible": true,
		"provenance": {"/query": given.argument("target", "user")},
	})
	document := given.with_resource(first, {"tags": ["backup"]})
	given.verdict(document) == {"effect": "allow", "codes": set()}
}

test_more_was_done_than_is_shown if {
	first := given.with_action(given.mcp_call, {
		"effect": "delete",
		"class": "write",
		"reversible": true,
		"provenance": {"/query": given.argument("target", "user")},
	})
	second := given.with_resource(first, {"tags": ["backup"]})
	document := given.with_behaviour(second, {
		"recent": [
			{
				"id": "evt_1",
				"age_s": 1,
				"resource": "notes/read_note",
				"effect": "read",
				"sensitivity": "internal",
				"destination": "notes.acme.test",
				"labels": [],
				"outcome": "ok",
			},
			{
				"id": "evt_2",
				"age_s": 2,
				"resource": "notes/read_note",
				"effect": "read",
				"sensitivity": "internal",
				"destination": "notes.acme.test",
				"labels": [],
				"outcome": "ok",
			},
			{
				"id": "evt_3",
				"age_s": 3,
				"resource": "notes/read_note",
				"effect": "read",
				"sensitivity": "internal",
				"destination": "notes.acme.test",
				"labels": [],
				"outcome": "ok",
			},
			{
				"id": "evt_4",
				"age_s": 4,
				"resource": "notes/read_note",
				"effect": "read",
				"sensitivity": "internal",
				"destination": "notes.acme.test",
				"labels": [],
				"outcome": "ok",
			},
			{
				"id": "evt_5",
				"age_s": 5,
				"resource": "notes/read_note",
				"effect": "read",
				"sensitivity": "internal",
				"destination": "notes.acme.test",
				"labels": [],
				"outcome": "ok",
			},
			{
				"id": "evt_6",
				"age_s": 6,
				"resource": "notes/read_note",
				"effect": "read",
				"sensitivity": "internal",
				"destination": "notes.acme.test",
				"labels": [],
				"outcome": "ok",
			},
			{
				"id": "evt_7",
				"age_s": 7,
				"resource": "notes/read_note",
				"effect": "read",
				"sensitivity": "internal",
				"destination": "notes.acme.test",
				"labels": [],
				"outcome": "ok",
			},
			{
				"id": "evt_8",
				"age_s": 8,
				"resource": "notes/read_note",
				"effect": "read",
				"sensitivity": "internal",
				"destination": "notes.acme.test",
				"labels": [],
				"outcome": "ok",
			},
		],
	})
	given.verdict(document) == {"effect": "deny", "codes": {"SQ-21"}}
}
