package outrider

import data.outrider.controls
import data.outrider.lib
import data.outrider.rules

# METADATA
# description: |
#   Every finding with its mode and obligations: `enforce` has effect, `shadow` and `approved` are
#   said and have none, `off` is not said. What is not a finding is a deny.
judged contains _settled(finding) if {
	some finding in controls.findings
	_is_sound(finding)
	code := finding.code
	not _off(code)
}

judged contains _unsound(finding) if {
	some finding in controls.findings
	not _is_sound(finding)
}

judged contains _settled(finding) if {
	some finding in rules.findings
	_is_for_a_team(finding)
	code := finding.code
	not _off(code)
}

judged contains _unsound(finding) if {
	some finding in rules.findings
	not _is_for_a_team(finding)
}

# METADATA
# description: |
#   The default deny, in words. No mode, shadow or approval reaches it.
# id: EF-00
# custom:
#   refs: [ASI03, PR.AA-05]
judged contains _enforced(lib.finding("EF-00", "deny", message, {})) if {
	not permitted
	some message in _missing
}

_missing contains "the query is not outrider.input/v1" if not input.version == "outrider.input/v1"

_missing contains "the agent is not active" if not input.subject.properties.status == "active"

_missing contains "no task or standing grant is active" if not input.context.task.state == "active"

_missing contains "the action's effect and class are not known to fit" if not _class_fits

_missing contains "the amount is not a number of at least 0" if not limits_met

_class_fits if input.action.properties.class in lib.classes[input.action.properties.effect]

_is_sound(finding) if {
	is_object(finding)
	object.keys(finding) - {"code", "effect", "message", "pointer", "obligations"} == set()
	is_string(finding.code)
	is_string(finding.message)
	finding.effect in {"deny", "hold", "oblige"}
	is_string(object.get(finding, "pointer", ""))
	is_array(object.get(finding, "obligations", []))
	every obligation in object.get(finding, "obligations", []) {
		is_string(obligation.type)
	}
}

# A credential is the platform's to give: a team's rule could ask for a wider one.
_is_for_a_team(finding) if {
	_is_sound(finding)
	every obligation in object.get(finding, "obligations", []) {
		obligation.type != "credential"
	}
}

_unsound(finding) := _enforced(lib.finding("EF-00", "deny", message, {})) if {
	message := sprintf("%s gave a finding that may not stand", [_author(finding)])
}

default _author(_) := "a rule"

_author(finding) := finding.code if is_string(finding.code)

_enforced(finding) := object.union(finding, {"mode": "enforce", "obligations": []})

_settled(finding) := object.union(finding, {
	"mode": _mode(finding),
	"obligations": array.concat(object.get(finding, "obligations", []), _approvals(finding)),
})

# Every hold says who may answer it; without, the sidecar would refuse it.
_approvals(finding) := [lib.approval(_approvers(finding.code))] if {
	finding.effect == "hold"
	not _brings_an_approval(finding)
} else := []

_brings_an_approval(finding) if {
	some obligation in finding.obligations
	obligation.type == "approval"
}

default _approvers(_) := {}

_approvers(code) := settings[code].approval

_off(code) if settings[code].mode == "off"

_mode(finding) := "shadow" if {
	settings[finding.code].mode == "shadow"
} else := "shadow" if {
	finding.effect in {"deny", "hold"}
	softened
} else := "approved" if {
	finding.effect == "hold"
	input.context.approval.state == "granted"
} else := "enforce"

# METADATA
# description: |
#   Whether `data.outrider.shadow` names this upstream and effect, and has not run out. It softens
#   findings only; what is not `permitted` stays a deny.
softened if {
	input.resource.properties.upstream in data.outrider.shadow.upstreams
	input.action.properties.effect in data.outrider.shadow.effects
	is_string(data.outrider.shadow.until)
	is_number(input.context.time.unix_s)
	left_ns := time.parse_rfc3339_ns(data.outrider.shadow.until) - (input.context.time.unix_s * 1000000000)
	left_ns > 0
	left_ns <= ((30 * 24) * 3600) * 1000000000
}
