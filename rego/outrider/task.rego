package outrider

# METADATA
# title: What grant a task gets
# description: |
#   Asked when a task is registered. Tasks are not registered yet, so the answer is a deny; agents
#   work under their standing grants.
# entrypoint: true
# id: TS-05
# custom:
#   refs: [ASI03, GOVERN 1.4]
task := {
	"effect": "deny",
	"reasons": [{
		"code": "TS-05",
		"message": "tasks are not registered here yet; the agent's standing grant applies",
		"severity": "medium",
		"refs": ["ASI03", "GOVERN 1.4"],
		"mode": "enforce",
	}],
	"obligations": [],
	"revision": revision,
}
