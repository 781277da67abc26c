# METADATA
# title: A task that runs away is stopped
# description: |
#   Denies while a task is refused too often or reaches too many places, and while all its last
#   answers are faults. It closes again by itself as the window moves on; after faults,
#   `limits.quiet_s` seconds after the last. Loops are SQ-30's.
# labels:
#   owasp: [ASI08]
package outrider.controls.breaker

import data.outrider.lib

# METADATA
# id: RL-02
# custom:
#   refs: [ASI08, T5]
findings contains lib.finding("RL-02", "deny", "the task was refused too often", {}) if {
	not input.context.behaviour.counters.denials_300s == 0
	lib.over(object.get(input, ["context", "behaviour", "counters", "denials_300s"], null), _limits.denials_300s)
}

# METADATA
# id: RL-02
# custom:
#   refs: [ASI08, T5]
findings contains lib.finding("RL-02", "deny", "the task reaches too many places", {}) if {
	not input.context.behaviour.counters.distinct_destinations == 0
	not input.context.behaviour.counters.distinct_destinations == 1
	lib.over(_places, _limits.distinct_destinations)
}

# METADATA
# id: RL-02
# custom:
#   refs: [ASI08, T5]
findings contains lib.finding("RL-02", "deny", "all last answers were faults; wait a little", {}) if {
	not input.context.behaviour.recent == []
	count(input.context.behaviour.recent) >= 8
	every event in input.context.behaviour.recent {
		event.outcome in {"failed", "unknown"}
	}
	newest := input.context.behaviour.recent[0].age_s
	is_number(newest)
	newest < _limits.quiet_s
}

_places := object.get(input, ["context", "behaviour", "counters", "distinct_destinations"], null)

_limits := {
	"denials_300s": _number("denials_300s", 0),
	"distinct_destinations": _number("distinct_destinations", 0),
	"quiet_s": _number("quiet_s", 300),
}

_number(name, otherwise) := number if {
	number := data.outrider.rules["RL-02"].limits[name]
	is_number(number)
} else := otherwise
