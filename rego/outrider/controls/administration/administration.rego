# METADATA
# title: Administration waits for a person
# description: Rights, accounts and settings change only with a yes.
# labels:
#   owasp: [ASI03]
#   nist_ai_rmf: [GOVERN 1.4]
#   csf: [PR.AA-05]
package outrider.controls.administration

import data.outrider.lib

# METADATA
# id: EF-04
# custom:
#   refs: [ASI03, T3, PR.AA-05]
findings contains lib.finding("EF-04", "hold", "an administrative action needs a person", {}) if {
	input.action.properties.effect == "admin"
}
