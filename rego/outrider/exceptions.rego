package outrider

# METADATA
# description: |
#   Ids of the exceptions in force for each code they name, by `data.outrider.exceptions`: those for
#   this subject, resource and effect (each where it is named), until their time, at most 90 days
#   ahead. One that is not plainly an exception is none.
# scope: document
excepted[exception.code] contains id if {
	is_object(data.outrider.exceptions)
	some id, exception in data.outrider.exceptions
	is_object(exception)
	object.keys(exception) - _keys_of_an_exception == set()
	is_string(exception.code)
	_takes_exceptions(exception.code)
	object.get(exception, "subject", input.subject.id) == input.subject.id
	object.get(exception, "effect", input.action.properties.effect) == input.action.properties.effect
	_is_of_resource(object.get(exception, "resource", "**"), input.resource.id)
	_runs_until(exception.until)
}

_keys_of_an_exception := {
	"id", "code", "subject", "resource", "effect",
	"until", "owner", "reason", "ticket",
}

# What a finding comes to under an exception: told, without effect.
_excused(finding, ids) := {
	"code": finding.code,
	"message": sprintf("exception %s: %s", [min(ids), finding.message]),
	"effect": "oblige",
	"obligations": [],
	"mode": "enforce",
	"severity": "info",
	"exception": min(ids),
}

_takes_exceptions(code) if {
	data.outrider.catalogue[code].exemptible == true
	not _never_excepted(code)
}

_never_excepted(code) if code in {"EF-00", "PV-04", "SQ-01", "SQ-06", "SQ-15"}

_never_excepted(code) if substring(code, 0, 3) in {"ID-", "DL-", "SC-", "CE-"}

_is_of_resource(pattern, id) if {
	is_string(pattern)
	is_string(id)
	glob.match(pattern, ["/"], id)
}

_runs_until(until) if {
	is_string(until)
	is_number(input.context.time.unix_s)
	left_ns := time.parse_rfc3339_ns(_moment(until)) - (input.context.time.unix_s * 1000000000)
	left_ns > 0
	left_ns <= ((90 * 24) * 3600) * 1000000000
}

# A date ends with the day before it.
_moment(until) := concat("", [until, "T00:00:00Z"]) if {
	count(until) == 10
} else := until
