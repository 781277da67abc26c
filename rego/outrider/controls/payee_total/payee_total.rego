# METADATA
# title: Small payments to one payee do not add up to a large one
# description: |
#   A payment is held once what was paid to its payee within 24 hours, this payment counted in, comes
#   to what a single payment may be.
# labels:
#   owasp: [ASI01, ASI02]
package outrider.controls.payee_total

import data.outrider.lib

# METADATA
# id: SQ-12
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding(
	"SQ-12", "hold",
	"payments to this payee in 24 hours add up to more than a single one may be",
	{},
) if {
	input.action.properties.effect == "pay"
	not input.action.properties.phase == "list"
	not _is_small
}

_is_small if {
	whole := input.context.behaviour.signals.amount_target_24h
	is_number(whole)
	limit := data.outrider.rules["SQ-12"].limits.single_payment
	is_number(limit)
	whole >= 0
	whole < limit
}
