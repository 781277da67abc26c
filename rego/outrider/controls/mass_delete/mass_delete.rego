# METADATA
# title: Things are deleted one by one, and after a look
# description: |
#   Deletes are held when there are more than `limits.deletes_60s` in a minute, when they take more
#   than `limits.listing_percent` of a listing, or when what was listed is deleted unread. Twice as many
#   are denied.
# labels:
#   owasp: [ASI01, ASI02]
package outrider.controls.mass_delete

import data.outrider.lib

# METADATA
# id: SQ-20
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-20", _effect, "too many deletes in a minute", {}) if {
	input.action.properties.effect == "delete"
	not input.action.properties.phase == "list"
	not _are_few
}

# METADATA
# id: SQ-20
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-20", _effect, "much of what was listed is deleted, or deleted unread", {}) if {
	input.action.properties.effect == "delete"
	not input.action.properties.phase == "list"
	not input.context.behaviour.signals.listed == null
	not _is_a_small_part
}

_limits := data.outrider.rules["SQ-20"].limits

_are_few if lib.within(input.context.behaviour.signals.deletes_60s, 0, _limits.deletes_60s)

_is_a_small_part if {
	listed := input.context.behaviour.signals.listed
	listed.read == true
	is_number(listed.count)
	is_number(_limits.listing_percent)
	lib.within(listed.deleted, 0, 9007199254740)
	listed.deleted * 100 <= listed.count * _limits.listing_percent
}

default _effect := "hold"

_effect := "deny" if lib.exceeds(input.context.behaviour.signals.deletes_60s, 2 * _limits.deletes_60s)

_effect := "deny" if {
	listed := input.context.behaviour.signals.listed
	is_number(listed.count)
	lib.within(listed.deleted, 0, 9007199254740)
	lib.exceeds(listed.deleted * 100, listed.count * (2 * _limits.listing_percent))
}
