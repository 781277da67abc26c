# METADATA
# title: One identity acts at one pace, from one place
# description: |
#   More than `limits.calls_60s` calls of a task within a minute (ships in shadow), or one identity
#   speaking from more than one address within a minute (denied whatever the mode).
# labels:
#   owasp: [ASI01, ASI02]
package outrider.controls.burst_and_spread

import data.outrider.lib

# METADATA
# id: SQ-16
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-16", "deny", "one identity speaks from several addresses", {
	"mode": "enforce",
	"obligations": [lib.notify("security", "high")],
}) if {
	not input.context.behaviour.signals.instances_60s == 1
	not input.context.behaviour.signals.instances_60s == 0
	not input.action.properties.phase == "list"
}

# METADATA
# id: SQ-16
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding(
	"SQ-16", "deny",
	"too many calls in a minute",
	{"obligations": [lib.notify("security", "high")]},
) if {
	not input.action.properties.phase == "list"
	not data.outrider.lib.is_unhurried
	not _is_slow
}

_is_slow if {
	calls := input.context.behaviour.counters.calls_60s
	lib.within(calls, 0, data.outrider.rules["SQ-16"].limits.calls_60s)
}
