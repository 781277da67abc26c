# METADATA
# title: The decision
# description: |
#   Deny if anything denies; else hold if anything holds; else allow only what `permitted` says
#   plainly may pass; else deny. Findings only ever add: no control and no team rule can allow.
package outrider

import data.outrider.lib

# METADATA
# description: |
#   The answer to one query, `{effect, reasons, obligations, revision}`. The default stands where
#   the rules below it have no answer.
# scope: document
# entrypoint: true
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

# The short way where nothing was found: the rest would say the same.
decision := {
	"effect": "allow",
	"reasons": set(),
	"obligations": set(),
	"revision": revision,
} if {
	data.outrider.controls.findings == set()
	data.outrider.rules.findings == set()
	permitted
} else := {
	"effect": effect,
	"reasons": reasons,
	"obligations": obliged,
	"revision": revision,
}

# METADATA
# description: Deny over hold over allow; what is none of them is a deny.
# scope: document
default effect := "deny"

effect := "hold" if in_force - {"oblige"} == {"hold"}

effect := "allow" if {
	in_force - {"oblige"} == set()
	permitted
}

# METADATA
# description: What the findings that have effect ask for.
in_force contains finding.effect if {
	some finding in judged
	finding.mode == "enforce"
}

# METADATA
# description: |
#   What may pass if nothing is found against it: an active subject, at work on an active task or
#   standing grant, with an effect we know in a class that fits it, within the effect's limits.
permitted if {
	input.version == "outrider.input/v1"
	input.subject.properties.status == "active"
	input.context.task.state == "active"
	named
	class_fits
	limits_met
}

# METADATA
# description: Whether subject and resource are named, so that a rule about either can see it.
named if {
	is_string(input.subject.id)
	is_string(input.resource.id)
	is_string(input.resource.properties.upstream)
}

# METADATA
# description: |
#   Whether effect and class are known and fit. A class may be graver than its effect's own (a
#   tool's annotations raise it), never lighter.
# scope: document
class_fits if {
	input.action.properties.effect == "read"
	input.action.properties.class in {"read", "write", "execute"}
} else if {
	input.action.properties.effect in {"write", "send", "share", "pay", "delete"}
	input.action.properties.class in {"write", "execute"}
} else if {
	input.action.properties.effect in {"admin", "execute"}
	input.action.properties.class == "execute"
}

# METADATA
# description: Whether what the action may cost is known, and a payment runs the right way.
# scope: document
limits_met if {
	not input.action.properties.effect == "pay"
} else if {
	# While listing there are no arguments to judge.
	input.action.properties.phase == "list"
} else if {
	# No negative payment: it would run the other way.
	is_object(data.outrider.lib.entry)
	every amount in lib.arguments_of("amount") {
		is_number(amount)
		amount >= 0
	}
}

# METADATA
# description: Every finding in the words of the decision, those without effect too.
reasons contains object.union(
	{"severity": _severity(finding.code), "refs": _refs(finding.code)},
	object.remove(finding, ["effect", "obligations"]),
) if {
	some finding in judged
}

# METADATA
# description: |
#   What must also be done: the obligations of every finding with effect. A hold that was approved
#   still asks for all but its approval.
obliged contains obligation if {
	some finding in judged
	some obligation in finding.obligations
}

default _severity(_) := "medium"

_severity(code) := settings(code).severity

default _refs(_) := []

_refs(code) := data.outrider.catalogue[code].refs

# METADATA
# description: The revision of the bundle that answers; "" in a tree that was not built.
# scope: document
default revision := ""

revision := built if {
	built := data.outrider.build.revision
	is_string(built)
}
