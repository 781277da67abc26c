# METADATA
# title: A delegation ends where its grant says
# description: |
#   Denies what is asked at a greater depth than the grant delegates (at most `limits.depth`), over a
#   hop that has expired or says no expiry, and a chain shorter than its depth. That each hop only
#   narrows is worked out by the sidecar.
# labels:
#   owasp: [ASI03]
package outrider.controls.delegated_reach

import data.outrider.lib

# METADATA
# id: DL-01
# custom:
#   refs: [ASI03, T3]
findings contains lib.finding("DL-01", "deny", "this is further down than the grant delegates", {}) if {
	not input.context.delegation == null
	not input.context.delegation.depth == 0
	lib.over(object.get(input, ["context", "delegation", "depth"], null), _depth)
}

# METADATA
# id: DL-01
# custom:
#   refs: [ASI03, T3]
findings contains lib.finding("DL-01", "deny", "a hop of the delegation is not valid any more", {}) if {
	not input.context.delegation == null
	not input.context.delegation.depth == 0
	not _is_valid
}

_is_valid if {
	count(input.context.delegation.chain) == input.context.delegation.depth
	every hop in input.context.delegation.chain {
		_runs(hop)
	}
}

_runs(hop) if {
	is_string(hop.expires_at)
	time.parse_rfc3339_ns(hop.expires_at) > _now_ns
}

_now_ns := input.context.time.unix_s * 1000000000 if is_number(input.context.time.unix_s)

default _depth := 0

_depth := min({granted, most}) if {
	granted := input.context.task.grant.delegation.depth
	is_number(granted)
	most := data.outrider.rules["DL-01"].limits.depth
	is_number(most)
}
