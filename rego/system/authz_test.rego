package system.authz_test

import data.system.authz

decision := ["v1", "data", "outrider", "decision"]

test_decisions_may_be_asked if {
	authz.allow with input as {"method": "POST", "path": decision}
	authz.allow with input as {"method": "POST", "path": ["v1", "data", "outrider", "task"]}
}

test_health_metrics_and_status_may_be_read if {
	authz.allow with input as {"method": "GET", "path": ["health"]}
	authz.allow with input as {"method": "GET", "path": ["metrics"]}
	authz.allow with input as {"method": "GET", "path": ["v1", "status"]}
}

test_a_longer_or_shorter_path_is_refused if {
	not authz.allow with input as {"method": "POST", "path": []}
	not authz.allow with input as {"method": "POST", "path": ["v1", "data"]}
	not authz.allow with input as {"method": "POST", "path": ["v1", "data", "outrider"]}
	not authz.allow with input as {"method": "POST", "path": array.concat(decision, ["effect"])}
}

test_a_path_like_it_is_refused if {
	not authz.allow with input as {"method": "POST", "path": ["v0", "data", "outrider", "decision"]}
	not authz.allow with input as {"method": "POST", "path": ["v1", "data", "outrider", "Decision"]}
	not authz.allow with input as {"method": "POST", "path": ["v1", "query"]}
	not authz.allow with input as {"method": "POST", "path": ["v1", "compile"]}
	not authz.allow with input as {"method": "GET", "path": ["health", "live"]}
}

test_writing_is_refused if {
	not authz.allow with input as {"method": "PUT", "path": decision}
	not authz.allow with input as {"method": "PATCH", "path": decision}
	not authz.allow with input as {"method": "DELETE", "path": decision}
	not authz.allow with input as {"method": "post", "path": decision}
	not authz.allow with input as {"method": "PUT", "path": ["v1", "policies", "outrider"]}
}

test_nothing_known_is_refused if {
	not authz.allow with input as {}
	not authz.allow with input as {"method": "POST", "path": "v1/data/outrider/decision"}
	not authz.allow with input as {"method": "GET", "path": decision}
}
