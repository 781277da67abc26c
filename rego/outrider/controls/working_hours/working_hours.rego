# METADATA
# title: Changes are made while people are there
# description: |
#   What changes anything outside the hours of the calendar is held; in a freeze that names nothing in
#   particular it is denied, whoever approved it.
# labels:
#   owasp: [ASI01, ASI02]
package outrider.controls.working_hours

import data.outrider.lib

# METADATA
# id: SQ-17
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-17", "hold", "nobody is at work at this hour", {}) if {
	not input.action.properties.class == "read"
	not data.outrider.lib.no_calendar
	not input.action.properties.phase == "list"
	not _is_at_work
}

# METADATA
# id: SQ-17
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-17", "deny", "nothing may change during a freeze", {}) if {
	not input.action.properties.class == "read"
	not data.outrider.lib.no_calendar
	not input.action.properties.phase == "list"
	not data.outrider.calendar.freezes == {}
	not _is_thawed
}

_is_at_work if data.outrider.calendar.hours == {}

_is_at_work if {
	hours := data.outrider.calendar.hours[input.context.time.weekday]
	lib.within(input.context.time.minute_of_day, hours.from, hours.to - 1)
}

_is_thawed if {
	is_object(data.outrider.calendar.freezes)
	every freeze in data.outrider.calendar.freezes {
		_lets_be(freeze)
	}
}

_lets_be(freeze) if {
	is_object(freeze)
	some part in ["effects", "tags", "upstreams"]
	freeze[part]
}

_lets_be(freeze) if {
	is_number(input.context.time.unix_s)
	is_string(freeze.from)
	time.parse_rfc3339_ns(freeze.from) > input.context.time.unix_s * 1000000000
}

_lets_be(freeze) if {
	is_number(input.context.time.unix_s)
	is_string(freeze.until)
	time.parse_rfc3339_ns(freeze.until) <= input.context.time.unix_s * 1000000000
}
