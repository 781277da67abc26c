# METADATA
# title: A read does not carry a secret out in its address
# description: |
#   A read whose address, host, path or search term carries a secret is denied: whoever answers has
#   read it, and so has every log on the way.
# labels:
#   owasp: [ASI02]
#   nhi: [NHI2]
#   atlas: [AML.T0086]
package outrider.controls.secret_in_read

import data.outrider.lib

# METADATA
# id: SQ-32
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-32", "deny", "a secret stands in what is asked for", {"pointer": at}) if {
	input.action.properties.class == "read"
	not input.action.properties.phase == "list"
	not data.outrider.lib.plain_arguments
	not data.outrider.lib.carries_no_secret
	is_object(input.action.properties.provenance)
	is_object(input.action.properties.provenance)
	some at, entry in input.action.properties.provenance
	not entry.secrets == []
	not entry.role == "credential"
	not _stays_at_home(entry)
}

# METADATA
# id: SQ-32
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-32", "deny", "nobody has looked for secrets in what is asked for", {}) if {
	input.action.properties.class == "read"
	not input.action.properties.phase == "list"
	not data.outrider.lib.plain_arguments
	not data.outrider.lib.carries_no_secret
	not _was_looked_at
}

_was_looked_at if is_object(input.action.properties.provenance)

_stays_at_home(entry) if {
	data.outrider.lib.stays_inside
	is_array(entry.secrets)
	every secret in entry.secrets {
		is_string(secret)
		startswith(secret, "pii_")
	}
}
