# METADATA
# title: A tool is what it was when it was accepted
# description: |
#   Denies a call whose definition is not the pinned one. The sidecar refuses and hides such a tool
#   by itself, in its own words; this serves who asks for decisions only.
# labels:
#   owasp: [ASI04]
#   atlas: [AML.T0110]
package outrider.controls.pinned_definition

import data.outrider.lib

# METADATA
# id: SC-01
# custom:
#   refs: [ASI04, T17, AML.T0110, NHI3]
findings contains lib.finding("SC-01", "deny", "the tool is not what it was when it was accepted", {}) if {
	not input.action.properties.phase == "list"
	not input.resource.properties.definition == null
	is_object(input.resource.properties.definition)
	not input.resource.properties.definition.pinned == true
}
