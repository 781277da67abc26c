# METADATA
# title: What a customer-facing agent sends outside waits for a person
# description: |
#   Agents of class `customer-facing` speak for the company; mail that leaves it is read first.
# labels:
#   owasp: [ASI09]
#   csf: [PR.DS]
package outrider.controls.customer_send

import data.outrider.lib

# METADATA
# id: EF-07
# custom:
#   refs: [ASI09, T15]
findings contains lib.finding("EF-07", "hold", "a message to someone outside needs a person", {}) if {
	input.action.properties.effect == "send"
	data.outrider.lib.agent.class == "customer-facing"
	not _to_insiders
}

_to_insiders if {
	data.outrider.lib.addressed
	data.outrider.lib.stays_inside
}
