# METADATA
# title: A destination the agent made itself is looked at by two
# description: |
#   A payment, message or share to a destination that this agent itself created less than a day ago
#   waits for another person than the one it works for.
# labels:
#   owasp: [ASI01, ASI02]
package outrider.controls.own_destination

import data.outrider.lib

# METADATA
# id: SQ-13
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-13", "hold", "this agent made the destination itself, not long ago", {}) if {
	input.action.properties.effect in {"pay", "send", "share"}
	not input.action.properties.phase == "list"
	not input.context.behaviour.signals.target_age_s == null
	not _is_old
}

_is_old if {
	age := input.context.behaviour.signals.target_age_s
	lib.within(age, data.outrider.rules["SQ-13"].limits.age_s, 9007199254740991)
}
