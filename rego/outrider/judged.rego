package outrider

import data.outrider.lib

# METADATA
# description: |
#   Every finding with its mode and obligations: `enforce` has effect, `shadow` and `approved` are
#   said and have none, `off` is not said. What is not a finding is a deny.
# scope: document
judged contains found if {
	some finding in data.outrider.controls.findings

	# In the head, one that is undefined would take all others with it in regorus.
	# regal ignore:prefer-value-in-head
	found := _judged(finding)
}

judged contains found if {
	some finding in data.outrider.rules.findings

	# regal ignore:prefer-value-in-head
	found := _judged(_from_a_team(finding))
}

# METADATA
# description: The default deny, in words. No mode, shadow or approval reaches it.
# id: EF-00
# custom:
#   refs: [ASI03, PR.AA-05]
judged contains _enforced(lib.finding("EF-00", "deny", message, {})) if {
	not permitted
	some message in _missing
}

_missing contains "the query is not outrider.input/v1" if not input.version == "outrider.input/v1"

_missing contains "subject and resource are not named" if not named

_missing contains "the agent is not active" if not input.subject.properties.status == "active"

_missing contains "no task or standing grant is active" if not input.context.task.state == "active"

_missing contains "the action's effect and class are not known to fit" if not class_fits

_missing contains "the amount is not a number of at least 0" if not limits_met

# Undefined for a finding whose code is off: nothing is said of it.
_judged(finding) := _excused(finding, excepted[finding.code]) if {
	_is_sound(finding)
	_is_on(finding.code)
	excepted[finding.code]
} else := _settled(finding) if {
	_is_sound(finding)
	_is_on(finding.code)
}

_judged(finding) := _enforced(lib.finding("EF-00", "deny", message, {})) if {
	not _is_sound(finding)
	message := sprintf("%s gave a finding that may not stand", [_author(finding)])
}

_is_sound(finding) if {
	is_object(finding)
	object.keys(finding) - {"code", "effect", "message", "mode", "pointer", "obligations"} == set()
	is_string(finding.code)
	is_string(finding.message)
	finding.effect in {"deny", "hold", "oblige"}
	is_string(object.get(finding, "pointer", ""))
	object.get(finding, "mode", "enforce") == "enforce"
	is_array(object.get(finding, "obligations", []))
	every obligation in object.get(finding, "obligations", []) {
		is_string(obligation.type)
	}
}

default _author(_) := "a rule"

_author(finding) := finding.code if is_string(finding.code)

# A credential is the platform's to give: a team's rule could ask for a wider one.
_from_a_team(finding) := [finding] if {
	is_array(finding.obligations)
	some obligation in finding.obligations
	obligation.type == "credential"
} else := finding

_enforced(finding) := object.union(finding, {"mode": "enforce", "obligations": []})

_settled(finding) := object.union_n([
	finding,
	_would(finding, mode),
	{"mode": mode, "obligations": _obligations(finding, mode)},
]) if {
	mode := _mode(finding)
}

# What a finding in shadow would have come to: for counting, without effect. `softened` says that
# its control is enforced, and the scope of `data.outrider.shadow` alone took the effect away.
_would(finding, "shadow") := {"would": finding.effect} if mode_of(finding.code) == "shadow"

_would(finding, "shadow") := {"would": finding.effect, "softened": true} if mode_of(finding.code) != "shadow"

_would(_, mode) := {} if mode != "shadow"

_obligations(_, "shadow") := []

_obligations(finding, "enforce") := array.concat(object.get(finding, "obligations", []), _approvals(finding))

_obligations(finding, "approved") := [obligation |
	some obligation in object.get(finding, "obligations", [])
	obligation.type != "approval"
]

# Every hold says who may answer it; without, the sidecar would refuse it.
_approvals(finding) := [lib.approval(_approvers(finding.code))] if {
	finding.effect == "hold"
	not _brings_an_approval(finding)
} else := []

_brings_an_approval(finding) if {
	is_array(finding.obligations)
	some obligation in finding.obligations
	obligation.type == "approval"
}

_is_on(code) if mode_of(code) in {"enforce", "shadow"}

# A finding that says so itself has effect though its code is in shadow.
_mode(finding) := "shadow" if {
	mode_of(finding.code) == "shadow"
	not finding.mode == "enforce"
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
