# METADATA
# title: Who may ask this OPA what
# description: |
#   OPA evaluates this rule for every request on its socket (`--authorization=basic`). Two
#   decisions may be asked for, and health, metrics and status read; everything else, writing
#   policy or data included, is refused. Paths are compared whole: a prefix would open more.
package system.authz

default allow := false

# METADATA
# entrypoint: true
allow if {
	input.method == "POST"
	input.path in decisions
}

allow if {
	input.method == "GET"
	input.path in readings
}

# METADATA
# description: The two documents that are asked for.
decisions := {
	["v1", "data", "outrider", "decision"],
	["v1", "data", "outrider", "task"],
}

# METADATA
# description: What may be read of OPA's own state.
readings := {
	["health"],
	["metrics"],
	["v1", "status"],
}
