# METADATA
# title: What every control and team rule may use
# description: |
#   Findings, approvals and comparisons that fail closed. Functions are called as `lib.finding(…)`
#   by import; a rule is named in full, `data.outrider.lib.addressed`, because regorus evaluates
#   the whole package when a rule of it is reached by an import. Nothing here reads
#   `data.outrider.rules` or `data.outrider.controls` by a variable key: regorus would evaluate
#   every rule below it, and OPA would see a cycle.
package outrider.lib

# METADATA
# description: The argument roles whose value decides what an action does, and to whom.
authority := {"destination", "target", "selector", "credential", "command"}

# METADATA
# description: |
#   One finding. `effect` is deny, hold or oblige. `extra` may carry `pointer` (of the argument it
#   is about) and `obligations` (a list); any other key makes the finding a deny.
finding(code, effect, message, extra) := object.union(extra, {
	"code": code,
	"effect": effect,
	"message": message,
})

# METADATA
# description: |
#   An approval obligation: who must say yes. `settings` may name group, quorum, four_eyes,
#   expires_s and step_up; what it does not name stays at the strict default.
approval(settings) := object.union_n([
	{"group": "approvers", "quorum": 1, "four_eyes": true, "expires_s": 900},
	settings,
	{"type": "approval"},
])

# METADATA
# description: Whether `value` is a number from `low` to `high`. False for everything else.
# scope: document
default within(_, _, _) := false

within(value, low, high) if {
	is_number(value)
	is_number(low)
	is_number(high)
	value >= low
	value <= high
}

# METADATA
# description: |
#   Whether `value` is over `limit`: true unless it is a number from 0 to the limit, so that what
#   is missing, null or of another type is over. Read it by `object.get(…, null)`: an undefined
#   argument leaves the call undefined.
over(value, limit) if not within(value, 0, limit)

# METADATA
# description: Whether this happens outside production, as both the sidecar and the agent say.
outside_production if {
	_names_no_production(input.context.environment)
	_names_no_production(input.subject.properties.environment)
}

_names_no_production(name) if {
	is_string(name)
	name != ""
	not _names_production(name)
}

_names_production(name) if lower(name) in {"prod", "production", "live"}

# METADATA
# description: |
#   Whether everything the action reaches is known and internal. With no destination known it is
#   not: `not lib.stays_inside` is what a rule about the outside asks.
stays_inside if {
	is_array(input.action.properties.destinations)
	input.action.properties.destinations != []
	every destination in input.action.properties.destinations {
		destination.zone == "internal"
	}
}

# METADATA
# description: Whether the action reaches its upstream and nothing else that an argument names.
stays_at_upstream if {
	is_array(input.action.properties.destinations)
	count(input.action.properties.destinations) == 1
	input.action.properties.destinations[0].pointer == null
}

# METADATA
# description: Whether at least one argument, beside the upstream itself, names a destination.
addressed if {
	is_array(input.action.properties.destinations)
	some destination in input.action.properties.destinations
	is_string(destination.pointer)
}

# METADATA
# description: Whether a name is of printable ASCII alone, without blanks at its ends.
# scope: document
default is_plain(_) := false

is_plain(name) if {
	is_string(name)
	regex.match(`^[!-~]([ -~]*[!-~])?$`, name)
}

# METADATA
# description: |
#   What `data.outrider.agents` says of the subject. Undefined for one it does not name.
agent := data.outrider.agents[input.subject.id]

# METADATA
# description: Whether the subject is named there as active, with a review that is not overdue.
agent_stands if {
	agent.status == "active"
	is_string(agent.review_by)
	is_string(input.context.time.rfc3339)
	agent.review_by >= substring(input.context.time.rfc3339, 0, 10)
}
