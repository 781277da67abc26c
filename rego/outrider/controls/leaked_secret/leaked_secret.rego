# METADATA
# title: No secret leaves in an argument
# description: |
#   Denies what changes something and reaches outside if an argument carries a secret or personal
#   data that this task read, or the pattern of one, plain or encoded. Reads are SQ-32's. Kinds
#   whose ids begin as `limits.passed` names (`pii_card_`) may leave.
# labels:
#   nhi: [NHI2]
#   atlas: [AML.T0086]
package outrider.controls.leaked_secret

import data.outrider.lib

# METADATA
# id: PV-04
# custom:
#   refs: [T1, AML.T0086, NHI2]
findings contains lib.finding("PV-04", "deny", "a secret would leave in this argument", {"pointer": pointer}) if {
	not input.action.properties.class == "read"
	not data.outrider.lib.plain_arguments
	is_object(input.action.properties.provenance)
	some pointer, entry in input.action.properties.provenance
	not entry.secrets == []
	not _passes(entry)
	not data.outrider.lib.stays_inside
}

_passes(entry) if {
	is_array(entry.secrets)
	every secret in entry.secrets {
		_may_leave(secret)
	}
}

_may_leave(secret) if {
	some kind in data.outrider.rules["PV-04"].limits.passed
	startswith(secret, kind)
}
