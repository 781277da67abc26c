# METADATA
# title: Agents are reviewed in time
# description: |
#   Once an agent's `review_by` has passed it is told with each decision; after `limits.hold_after`
#   days what it changes is held, after `limits.deny_after` days all it asks is denied. In production
#   an agent without a `review_by` is held too.
# labels:
#   nhi: [NHI1, NHI5]
#   nist_ai_rmf: [GOVERN 1.5]
package outrider.controls.overdue_review

import data.outrider.lib

# METADATA
# id: GV-05
# custom:
#   refs: [NHI1, NHI5, GOVERN 1.5]
findings contains lib.finding("GV-05", _weight, "the agent's review is overdue", {}) if {
	not data.outrider.lib.agent_stands

	# Days compare as text; what the time is need not be parsed until one is overdue.
	review_by := data.outrider.lib.agent.review_by
	is_string(review_by)
	review_by < substring(input.context.time.rfc3339, 0, 10)
}

# METADATA
# id: GV-05
# custom:
#   refs: [NHI1, NHI5, GOVERN 1.5]
findings contains lib.finding("GV-05", "hold", "nobody says when the agent is reviewed", {}) if {
	not input.action.properties.class == "read"
	not data.outrider.lib.agent_stands
	is_object(data.outrider.lib.agent)
	not _has_a_day
	not data.outrider.lib.outside_production
}

_review_by := data.outrider.lib.agent.review_by

_has_a_day if is_string(_review_by)

default _weight := "oblige"

_weight := "deny" if {
	_over_ns >= _days("deny_after", 30) * _day_ns
} else := "hold" if {
	_over_ns >= _days("hold_after", 14) * _day_ns
	not input.action.properties.class == "read"
}

_over_ns := time.parse_rfc3339_ns(input.context.time.rfc3339) - time.parse_rfc3339_ns(_midnight)

_midnight := concat("", [_review_by, "T00:00:00Z"])

_day_ns := ((24 * 3600) * 1000) * 1000000

_days(name, otherwise) := number if {
	number := data.outrider.rules["GV-05"].limits[name]
	is_number(number)
} else := otherwise
