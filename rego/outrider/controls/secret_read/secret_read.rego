# METADATA
# title: Reading a secret waits for a person
# description: |
#   Holds reads of what the manifest calls `secret`, or gives no sensitivity we know. MCP's own
#   handshake and listings are not reads of anybody's data.
# labels:
#   owasp: [ASI03]
#   nhi: [NHI2]
#   csf: [PR.DS]
package outrider.controls.secret_read

import data.outrider.lib

# METADATA
# id: EF-06
# custom:
#   refs: [ASI03, NHI2, PR.DS]
findings contains lib.finding("EF-06", "hold", "reading a secret needs a person", {}) if {
	input.action.properties.effect == "read"
	not input.resource.properties.sensitivity == "public"
	not input.resource.properties.sensitivity == "internal"
	not input.resource.properties.sensitivity == "confidential"
	not _handshake
}

_handshake if {
	input.action.properties.protocol == "mcp"
	input.resource.type == "api"
}
