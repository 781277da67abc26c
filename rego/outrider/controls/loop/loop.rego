# METADATA
# title: Who goes round in circles is stopped
# description: |
#   The same action `limits.same_action_60s` times within a minute, or two that take turns
#   `limits.turns` times, is denied until the task has been quiet for a minute.
# labels:
#   owasp: [ASI08]
package outrider.controls.loop

import data.outrider.lib

# METADATA
# id: SQ-30
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-30", "deny", "the same is done again and again", {}) if {
	not input.context.behaviour.repeats.same_action_60s == 0
	not input.context.behaviour.repeats.same_action_60s == 1
	not input.context.behaviour.repeats.same_action_60s == 2
	not input.action.properties.phase == "list"
	not _is_rare
}

# METADATA
# id: SQ-30
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-30", "deny", "two actions take turns again and again", {}) if {
	not input.context.behaviour.signals.oscillation == 0
	not input.context.behaviour.signals.oscillation == 1
	not input.action.properties.phase == "list"
	not _turns_seldom
}

_limits := data.outrider.rules["SQ-30"].limits

_is_rare if {
	same := input.context.behaviour.repeats.same_action_60s
	lib.within(same, 0, _limits.same_action_60s - 1)
}

_turns_seldom if {
	turns := input.context.behaviour.signals.oscillation
	lib.within(turns, 0, _limits.turns - 1)
}
