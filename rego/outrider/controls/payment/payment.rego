# METADATA
# title: A payment above the automatic limit waits for a person
# description: |
#   `limits.pay_auto` of this rule's settings (0 where it is not set) is the most that is paid
#   without a person. What the manifest names no amount for is held whatever it costs.
# labels:
#   owasp: [ASI02]
#   nist_ai_rmf: [MANAGE 2.4]
package outrider.controls.payment

import data.outrider.lib

# METADATA
# id: EF-02
# custom:
#   refs: [ASI02, T2]
findings contains lib.finding("EF-02", "hold", _above, {"pointer": lib.pointer(name)}) if {
	input.action.properties.effect == "pay"
	some name, amount in lib.arguments_of("amount")
	lib.over(amount, _pay_auto)
}

# METADATA
# id: EF-02
# custom:
#   refs: [ASI02, T2]
findings contains lib.finding("EF-02", "hold", "a payment of unknown amount needs a person", {}) if {
	input.action.properties.effect == "pay"
	not _has_amount
}

_has_amount if lib.arguments_of("amount") != {}

_above := sprintf("a payment of more than %v needs a person", [_pay_auto])

default _pay_auto := 0

_pay_auto := data.outrider.rules["EF-02"].limits.pay_auto if {
	is_number(data.outrider.rules["EF-02"].limits.pay_auto)
}
