# METADATA
# title: In strict mode whatever changes something needs a value of the user's
# description: |
#   SQ-02 asks for it in grave acts. With `limits.strict` of this rule, any act but a read is held
#   after something untrusted was read, unless one of its deciding arguments comes from the user or
#   the user's own records.
# labels:
#   owasp: [ASI01]
package outrider.controls.strict_authority

import data.outrider.lib

# METADATA
# id: PV-02
# custom:
#   refs: [ASI01, T6]
findings contains lib.finding("PV-02", "hold", "nothing in this action was named by the user", {}) if {
	not input.context.behaviour.flags.untrusted_read == false
	not input.action.properties.class == "read"
	not data.outrider.rules["PV-02"].limits.strict == false
	not _is_named_by_the_user
}

_is_named_by_the_user if {
	is_object(input.action.properties.provenance)
	some entry in input.action.properties.provenance
	entry.role in data.outrider.lib.authority
	entry.label in {"user", "record"}
}
