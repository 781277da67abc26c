# METADATA
# title: The decision
# description: |
#   Deny if anything denies; else hold if anything holds; else allow only what `permitted` says
#   plainly may pass; else deny. Findings only ever add: no control and no team rule can allow.
package outrider

import data.outrider.lib

# What stands where the rules below have no answer.
default decision := {
	"effect": "deny",
	"reasons": [{
		"code": "EF-00",
		"message": "policy reached no decision",
		"severity": "high",
		"refs": [],
		"mode": "enforce",
	}],
	"obligations": [],
	"revision": "",
}

# METADATA
# description: The answer to one query, `{effect, reasons, obligations, revision}`.
# entrypoint: true
decision := {
	"effect": effect,
	"reasons": reasons,
	"obligations": obliged,
	"revision": lib.revision,
}

default effect := "deny"

effect := "deny" if {
	some finding in judged
	finding.effect == "deny"
	finding.mode == "enforce"
} else := "hold" if {
	some finding in judged
	finding.effect == "hold"
	finding.mode == "enforce"
} else := "allow" if {
	permitted
}

# METADATA
# description: |
#   What may pass if nothing is found against it: an active subject, at work on an active task or
#   standing grant, with an effect we know in a class that fits it, within the effect's limits.
permitted if {
	input.version == "outrider.input/v1"
	input.subject.properties.status == "active"
	input.context.task.state == "active"
	input.action.properties.class in lib.classes[input.action.properties.effect]
	limits_met
}

limits_met if {
	input.action.properties.effect in {"read", "write", "send", "share", "delete", "admin", "execute"}
}

# While listing there are no arguments to judge.
limits_met if {
	input.action.properties.effect == "pay"
	input.action.properties.phase == "list"
}

# No negative payment: it would run the other way.
limits_met if {
	input.action.properties.effect == "pay"
	every amount in lib.arguments_of("amount") {
		is_number(amount)
		amount >= 0
	}
}

reasons contains reason if {
	some finding in judged
	reason := object.union(
		object.remove(finding, ["effect", "obligations"]),
		{"severity": _severity(finding.code), "refs": _refs(finding.code)},
	)
}

obliged contains obligation if {
	some finding in judged
	finding.mode == "enforce"
	some obligation in finding.obligations
}

# A hold that was approved does what else it asked for.
obliged contains obligation if {
	some finding in judged
	finding.mode == "approved"
	some obligation in finding.obligations
	not obligation.type == "approval"
}

default _severity(_) := "medium"

_severity(code) := settings[code].severity

default _refs(_) := []

_refs(code) := data.outrider.catalogue[code].refs
