# METADATA
# title: The lowest label crosses hops
# description: |
#   What another agent answers counts as untrusted, whatever it says of itself: the sidecar labels
#   it so. What was read before a task was delegated travels in the delegation, and SQ-27 heeds it.
# labels:
#   owasp: [ASI07, ASI08]
package outrider.controls.lowest_label

import data.outrider.lib

# METADATA
# id: IA-03
# custom:
#   refs: [ASI07, ASI08, T12]
findings contains lib.finding("IA-03", "oblige", "what another agent answers is untrusted", {"obligations": [{
	"type": "label",
	"labels": ["untrusted"],
}]}) if {
	not input.resource.type == "tool"
	not input.resource.type == "api"
	not input.resource.type == "resource"
	not input.resource.type == "prompt"
	not input.resource.type == "model"
	not input.resource.type == "host"
}
