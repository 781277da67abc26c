# METADATA
# title: Windows and freezes
# description: |
#   What a window of `data.outrider.calendar` names is held outside all windows that name it; what a
#   freeze names is denied until it ends. A read is neither. What is not known of the action or the
#   time counts against it.
# labels:
#   csf: [PR.AA-05]
package outrider.controls.calendar

import data.outrider.lib

# METADATA
# id: TS-06
# custom:
#   refs: [PR.AA-05]
findings contains lib.finding("TS-06", "hold", "this is done in certain hours only", {}) if {
	not input.action.properties.class == "read"
	not data.outrider.lib.no_calendar
	_has_a_window
	not _is_open
}

# METADATA
# id: TS-06
# custom:
#   refs: [PR.AA-05]
findings contains lib.finding("TS-06", "deny", message, {}) if {
	not input.action.properties.class == "read"
	not data.outrider.lib.no_calendar
	some name, freeze in data.outrider.calendar.freezes
	_names(freeze)
	not _is_over(freeze)
	not _is_to_come(freeze)
	message := sprintf("the freeze %s is on", [name])
}

_has_a_window if {
	some window in data.outrider.calendar.windows
	_names(window)
}

_is_open if {
	some window in data.outrider.calendar.windows
	_names(window)
	_is_today(window)
	_is_now(window)
}

# Whether a window or freeze is about this action: it says something, and all it says fits.
_names(entry) if {
	is_object(entry)
	object.filter(entry, ["effects", "tags", "upstreams"]) != {}
	_names_the_effect(entry)
	_names_a_tag(entry)
	_names_the_upstream(entry)
}

_names_the_effect(entry) if not entry.effects

_names_the_effect(entry) if input.action.properties.effect in entry.effects

_names_a_tag(entry) if not entry.tags

_names_a_tag(entry) if {
	some tag in _tags
	tag in entry.tags
}

_names_a_tag(_) if not _has_tags

_has_tags if is_array(input.resource.properties.tags)

default _tags := []

_tags := input.resource.properties.tags if is_array(input.resource.properties.tags)

_names_the_upstream(entry) if not entry.upstreams

_names_the_upstream(entry) if input.resource.properties.upstream in entry.upstreams

_is_today(window) if not window.days

_is_today(window) if input.context.time.weekday in window.days

_is_now(window) if {
	minute := input.context.time.minute_of_day
	is_number(minute)
	from := object.get(window, "from", 0)
	is_number(from)
	to := object.get(window, "to", 1440)
	is_number(to)
	minute >= from
	minute < to
}

_is_over(freeze) if {
	is_string(freeze.until)
	time.parse_rfc3339_ns(freeze.until) <= _now_ns
}

_is_to_come(freeze) if {
	is_string(freeze.from)
	time.parse_rfc3339_ns(freeze.from) > _now_ns
}

_now_ns := input.context.time.unix_s * 1000000000 if is_number(input.context.time.unix_s)
