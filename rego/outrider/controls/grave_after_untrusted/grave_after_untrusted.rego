# METADATA
# title: A grave act after untrusted content needs something the user named
# description: |
#   After something untrusted was read, administration, execution and deletion that cannot be undone
#   are held unless one of the arguments that decide them comes from the user or the user's records.
# labels:
#   owasp: [ASI01, ASI02]
package outrider.controls.grave_after_untrusted

import data.outrider.lib

# METADATA
# id: SQ-02
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-02", "hold", _message, {}) if {
	input.action.properties.effect in {"admin", "execute"}
	not input.action.properties.phase == "list"
	not data.outrider.lib.untainted
	not _is_named_by_the_user
}

# METADATA
# id: SQ-02
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-02", "hold", _message, {}) if {
	input.action.properties.effect == "delete"
	not input.action.properties.reversible == true
	not input.action.properties.phase == "list"
	not data.outrider.lib.untainted
	not _is_named_by_the_user
}

_message := "untrusted content was read, and the user named nothing of this"

_is_named_by_the_user if {
	is_object(input.action.properties.provenance)
	some entry in input.action.properties.provenance
	entry.role in data.outrider.lib.authority
	entry.label in {"user", "record"}
}
