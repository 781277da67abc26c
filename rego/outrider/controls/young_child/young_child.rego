# METADATA
# title: What was just spawned does nothing grave
# description: |
#   An agent that another one brought in less than `limits.age_s` ago waits for a person before it
#   administers, pays or executes. An effect its parent lacked is in no grant of its own: the sidecar
#   meets both.
# labels:
#   owasp: [ASI08, ASI10]
package outrider.controls.young_child

import data.outrider.lib

# METADATA
# id: SQ-07
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-07", "hold", "this agent was brought in only just now", {}) if {
	input.action.properties.effect in {"admin", "execute", "pay"}
	not input.action.properties.phase == "list"
	not input.context.delegation == null
	not input.context.delegation.depth == 0
	not _is_grown
}

_is_grown if {
	is_array(input.context.delegation.chain)
	input.context.delegation.chain != []
	every hop in input.context.delegation.chain {
		lib.within(hop.age_s, data.outrider.rules["SQ-07"].limits.age_s, 9007199254740991)
	}
}
