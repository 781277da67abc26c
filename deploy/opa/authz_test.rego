package system.authz_test

import data.system.authz

ids := ["spiffe://acme.test/ns/support/sa/triage"]

asked(names, path) := {
	"method": "POST",
	"path": path,
	"client_certificates": [{"URIs": names}],
}

name := {"Scheme": "spiffe", "Host": "acme.test", "Path": "/ns/support/sa/triage"}

other := {"Scheme": "spiffe", "Host": "acme.test", "Path": "/ns/support/sa/triage/x"}

decision := ["v1", "data", "outrider", "decision"]

test_a_named_caller_may_ask_for_both if {
	authz.allow with input as asked([name], decision) with data.callers.spiffe_ids as ids
	authz.allow with input as asked([name], ["v1", "data", "outrider", "task"])
		with data.callers.spiffe_ids as ids
}

test_another_may_not if {
	not authz.allow with input as asked([other], decision) with data.callers.spiffe_ids as ids
}

test_two_names_are_none if {
	not authz.allow with input as asked([name, other], decision) with data.callers.spiffe_ids as ids
}

test_without_a_certificate_nobody_may if {
	not authz.allow with input as {"method": "POST", "path": decision}
		with data.callers.spiffe_ids as ids
}

test_where_nobody_is_named_nobody_may if {
	not authz.allow with input as asked([name], decision)
}

test_nothing_else_may_be_asked if {
	every path in [["v1", "data"], ["v1", "policies"], ["v1", "data", "outrider"], []] {
		not authz.allow with input as asked([name], path) with data.callers.spiffe_ids as ids
	}
}
