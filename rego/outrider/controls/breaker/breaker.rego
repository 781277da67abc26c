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
	not _are_few_denials
}

# METADATA
# id: RL-02
# custom:
#   refs: [ASI08, T5]
findings contains lib.finding("RL-02", "deny", "the task reaches too many places", {}) if {
	not input.context.behaviour.counters.distinct_destinations == 0
	not input.context.behaviour.counters.distinct_destinations == 1
	not _are_few_places
}

# METADATA
# id: RL-02
# custom:
#   refs: [ASI08, T5]
findings contains lib.finding("RL-02", "deny", "all last answers were faults; wait a little", {}) if {
	not input.context.behaviour.recent == []
	input.context.behaviour.recent[0].outcome in {"failed", "unknown"}
	count(input.context.behaviour.recent) >= 8
	every event in input.context.behaviour.recent {
		not _is_no_fault(event)
	}
	newest := input.context.behaviour.recent[0].age_s
	is_number(newest)
	newest < _quiet_s
}

_are_few_denials if {
	denials := input.context.behaviour.counters.denials_300s
	lib.within(denials, 0, data.outrider.rules["RL-02"].limits.denials_300s)
}

_are_few_places if {
	places := input.context.behaviour.counters.distinct_destinations
	lib.within(places, 0, data.outrider.rules["RL-02"].limits.distinct_destinations)
}

default _quiet_s := 300

_quiet_s := data.outrider.rules["RL-02"].limits.quiet_s if is_number(data.outrider.rules["RL-02"].limits.quiet_s)

_is_no_fault(event) if {
	is_string(event.outcome)
	not _is_fault(event)
}

_is_fault(event) if event.outcome in {"failed", "unknown"}
