# METADATA
# title: Many small messages outside do not add up to a large one
# description: |
#   What one task sends to one place outside in many calls is denied past `limits.bytes`. The limit is
#   for drips: as long as all the task's calls can be seen among the recent events they are too few to
#   have stayed small.
# labels:
#   owasp: [ASI01, ASI02]
package outrider.controls.drip_outside

import data.outrider.lib

# METADATA
# id: SQ-05
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-05", "deny", "too much went to one place outside in small pieces", {}) if {
	not input.action.properties.phase == "list"
	not data.outrider.lib.stays_inside
	not data.outrider.lib.is_handshake
	not _are_few_calls
	not _is_little
}

# Eight events are shown: with fewer, more than the limit came in calls of over 64 KiB.
_are_few_calls if {
	is_array(input.context.behaviour.recent)
	count(input.context.behaviour.recent) < 8
}

_is_little if {
	is_array(input.action.properties.destinations)
	input.action.properties.destinations != []
	most := data.outrider.rules["SQ-05"].limits.bytes
	every place in input.action.properties.destinations {
		_gets_little(place, most)
	}
}

_gets_little(place, _) if place.zone == "internal"

_gets_little(place, most) if {
	sent := object.get(_sent, place.host, null)
	lib.within(sent, 0, most)
}

default _sent := {}

_sent := input.context.behaviour.counters.bytes_out if is_object(input.context.behaviour.counters.bytes_out)
