# METADATA
# title: After a mass of data was read, a person looks before anything leaves
# description: |
#   A send or a share outside is held once a task has read more records, bytes or people's data than
#   `limits` allow; more than twice as much is denied.
# labels:
#   owasp: [ASI01, ASI02]
package outrider.controls.bulk_then_outside

import data.outrider.lib

# METADATA
# id: SQ-04
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-04", _effect, _message, {}) if {
	input.action.properties.effect in {"send", "share"}
	not input.action.properties.phase == "list"
	not data.outrider.lib.stays_inside
	not _is_little
}

_limits := data.outrider.rules["SQ-04"].limits

_is_little if {
	lib.within(input.context.behaviour.counters.records_read, 0, _limits.records)
	lib.within(input.context.behaviour.signals.bytes_read, 0, _limits.bytes)
	lib.within(input.context.behaviour.signals.distinct_subjects, 0, _limits.subjects)
}

default _effect := "hold"

_effect := "deny" if lib.exceeds(input.context.behaviour.counters.records_read, 2 * _limits.records)

_effect := "deny" if lib.exceeds(input.context.behaviour.signals.bytes_read, 2 * _limits.bytes)

_effect := "deny" if lib.exceeds(input.context.behaviour.signals.distinct_subjects, 2 * _limits.subjects)

_message := "much was read in this task: sending outside needs a person"
