package outrider

# METADATA
# description: |
#   What `data.outrider.tiers` says of the agent's tier: `enforce` (codes that are not softened for
#   it, by when: `always`, or `external` where something it reaches is not internal), `shadow`
#   (codes that only warn), `approval` (what its holds ask beside what the code asks). An agent of
#   no known tier is of the strictest, `high`.
# scope: document
default tier := {}

tier := data.outrider.tiers.low if {
	input.subject.properties.tier == "low"
	is_object(data.outrider.tiers.low)
} else := data.outrider.tiers.standard if {
	input.subject.properties.tier == "standard"
	is_object(data.outrider.tiers.standard)
} else := data.outrider.tiers.high if {
	is_object(data.outrider.tiers.high)
}

# METADATA
# description: The mode of a code for this agent; `enforce` where nothing plainly says otherwise.
# scope: document
default mode_of(_) := "enforce"

mode_of(code) := mode if {
	not _is_hardened(code)
	mode := _set_mode(code)
	mode in {"off", "shadow"}
} else := "shadow" if {
	not _is_hardened(code)
	_is_softened(code)
	_takes_exceptions(code)
}

_set_mode(code) := settings(code).mode

_is_softened(code) if code in tier.shadow

_is_hardened(code) if tier.enforce[code] == "always"

_is_hardened(code) if {
	tier.enforce[code] == "external"
	not data.outrider.lib.stays_inside
}

default _approvers(_) := {}

_approvers(code) := object.union(_asked_by_code(code), _asked_by_tier)

default _asked_by_code(_) := {}

_asked_by_code(code) := asked if {
	asked := settings(code).approval
	is_object(asked)
}

default _asked_by_tier := {}

_asked_by_tier := tier.approval if is_object(tier.approval)
