# METADATA
# title: What came from an agent that is out is out
# description: Denies a delegated action if an agent of its chain is quarantined or offboarded.
# labels:
#   owasp: [ASI08, ASI10]
package outrider.controls.cut_chain

import data.outrider.lib

# METADATA
# id: DL-04
# custom:
#   refs: [ASI08, ASI10]
findings contains lib.finding("DL-04", "deny", "an agent of the chain is out", {}) if {
	not input.context.delegation == null
	not input.context.delegation.chain == []
	not _are_all_in
}

_are_all_in if {
	is_array(input.context.delegation.chain)
	every hop in input.context.delegation.chain {
		is_string(hop.id)
		not _is_out(hop)
	}
}

_is_out(hop) if data.outrider.agents[hop.id].status in {"quarantined", "offboarded"}
