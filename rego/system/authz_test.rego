package system.authz_test

import data.system.authz

test_decisions_may_be_asked if {
	authz.allow with input as {"method": "POST", "path": ["v1", "data", "outrider", "decision"]}
	authz.allow with input as {"method": "POST", "path": ["v1", "data", "outrider", "task"]}
}

test_health_metrics_and_status_may_be_read if {
	every path in [["health"], ["metrics"], ["v1", "status"]] {
		authz.allow with input as {"method": "GET", "path": path}
	}
}

test_a_longer_or_shorter_path_is_refused if {
	every path in [
		[],
		["v1"],
		["v1", "data"],
		["v1", "data", "outrider"],
		["v1", "data", "outrider", "decision", "effect"],
		["v1", "data", "outrider", "Decision"],
		["v1", "query"],
		["v1", "policies", "outrider"],
		["v1", "compile"],
		["v0", "data", "outrider", "decision"],
	] {
		not authz.allow with input as {"method": "POST", "path": path}
	}
}

test_writing_is_refused if {
	every method in ["PUT", "PATCH", "DELETE", "GET", "HEAD", "post"] {
		not authz.allow with input as {"method": method, "path": ["v1", "data", "outrider", "decision"]}
	}
}

test_nothing_known_is_refused if {
	not authz.allow with input as {}
	not authz.allow with input as {"method": "POST", "path": "v1/data/outrider/decision"}
	not authz.allow with input as {"method": "GET", "path": ["v1", "data"]}
}
