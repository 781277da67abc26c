# METADATA
# title: What was packed or encoded does not leave after a sensitive read
# description: |
#   After something sensitive was read, nothing goes outside from a task that has used a tool tagged
#   `encode` (archives, encryption, base64): what it would carry can no longer be recognised.
# labels:
#   owasp: [ASI02]
#   nhi: [NHI2]
package outrider.controls.encoded_export

import data.outrider.lib

# METADATA
# id: SQ-23
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding(
	"SQ-23", "deny",
	"this task has encoded data and read something sensitive: nothing may go outside",
	{},
) if {
	not input.context.behaviour.flags.sensitive_read == false
	not input.action.properties.phase == "list"
	not data.outrider.lib.stays_inside
	not data.outrider.lib.is_handshake
	not _is_plain
}

_is_plain if {
	is_array(input.resource.properties.tags)
	is_object(input.context.behaviour.tags)
	not input.context.behaviour.tags.encode
	not _encodes
}

_encodes if "encode" in input.resource.properties.tags
