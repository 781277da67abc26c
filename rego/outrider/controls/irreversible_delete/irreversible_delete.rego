# METADATA
# title: A delete that cannot be undone waits for a person
# description: Held unless the manifest says that the delete is reversible.
# labels:
#   owasp: [ASI02]
#   csf: [PR.DS]
package outrider.controls.irreversible_delete

import data.outrider.lib

# METADATA
# id: EF-03
# custom:
#   refs: [ASI02, T2, PR.DS]
findings contains lib.finding("EF-03", "hold", "a delete that cannot be undone needs a person", {}) if {
	input.action.properties.effect == "delete"
	not input.action.properties.reversible == true
}
