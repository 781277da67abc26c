# METADATA
# title: A write that cannot be undone waits for a person
# description: Held unless the manifest says that the write is reversible.
# labels:
#   owasp: [ASI02]
#   csf: [PR.DS]
package outrider.controls.irreversible_write

import data.outrider.lib

# METADATA
# id: EF-01
# custom:
#   refs: [ASI02, T2, PR.DS]
findings contains lib.finding("EF-01", "hold", "a write that cannot be undone needs a person", {}) if {
	input.action.properties.effect == "write"
	not input.action.properties.reversible == true
}
