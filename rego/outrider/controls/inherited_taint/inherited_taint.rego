# METADATA
# title: What a parent read counts as read here
# description: |
#   Untrusted content that was read further up the chain of delegation is treated as PV-01 treats what
#   was read here.
# labels:
#   owasp: [ASI01, ASI07]
package outrider.controls.inherited_taint

import data.outrider.lib

# METADATA
# id: SQ-27
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-27", _weight(doubt.role), message, {"pointer": doubt.pointer}) if {
	not input.context.delegation == null
	not input.context.delegation.flags == {}
	not input.context.delegation.flags.untrusted_read == false
	not input.action.properties.phase == "list"
	some doubt in data.outrider.lib.doubtful
	not _is_free(doubt)
	message := sprintf("%s is doubtful, and whoever delegated this has read untrusted content", [doubt.pointer])
}

# What a read looks for, and an address that stood in what was read, may come from anywhere.
_is_free(doubt) if {
	input.action.properties.class == "read"
	doubt.role in {"target", "selector"}
}

_is_free(doubt) if {
	input.action.properties.class == "read"
	doubt.role == "destination"
	doubt.label == "untrusted"
}

_weight(role) := "hold" if {
	role in {"destination", "target", "selector"}
} else := "deny"
