# METADATA
# title: Everyone a task came through may do it
# description: |
#   Denies a delegated action if an agent of the chain is not active or could not have had this
#   effect itself, or if nobody says in whose name the chain began.
# labels:
#   owasp: [ASI03]
package outrider.controls.entitled_hops

import data.outrider.lib

# METADATA
# id: DL-02
# custom:
#   refs: [ASI03, T14]
findings contains lib.finding("DL-02", "deny", "not everyone in the chain may do this", {}) if {
	not input.context.delegation == null
	not input.context.delegation.depth == 0
	not _is_everyones
}

_is_everyones if {
	is_string(input.context.delegation.root_principal)
	is_array(input.context.delegation.chain)
	every hop in input.context.delegation.chain {
		data.outrider.agents[hop.id].status == "active"
		input.action.properties.effect in data.outrider.agents[hop.id].grant.effects
	}
}
