# METADATA
# title: Small calls at even times look like a beacon
# description: |
#   At least `limits.calls` small calls to one destination outside, at times that differ by less than
#   `limits.jitter_percent`, are told to security. Ships in shadow; an agent of tier high is held whatever
#   the mode.
# labels:
#   owasp: [ASI01, ASI02]
package outrider.controls.beacon

import data.outrider.lib

# METADATA
# id: SQ-29
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-29", "hold", _message, {"obligations": [lib.notify("security", "high")]}) if {
	not input.context.behaviour.signals.beacon == null
	not input.action.properties.phase == "list"
	not input.subject.properties.tier == "low"
	not input.subject.properties.tier == "standard"
	not data.outrider.lib.stays_inside
	not _is_irregular
}

# METADATA
# id: SQ-29
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-29", "oblige", _message, {"obligations": [lib.notify("security", "high")]}) if {
	not input.context.behaviour.signals.beacon == null
	not input.action.properties.phase == "list"
	not data.outrider.lib.stays_inside
	not _is_irregular
}

_message := "small calls go outside at even times"

_is_irregular if {
	beacon := input.context.behaviour.signals.beacon
	lib.within(beacon.calls, 0, data.outrider.rules["SQ-29"].limits.calls - 1)
}

_is_irregular if {
	jitter := input.context.behaviour.signals.beacon.jitter_percent
	lib.within(jitter, data.outrider.rules["SQ-29"].limits.jitter_percent, 9007199254740991)
	is_number(input.context.behaviour.signals.beacon.calls)
}
