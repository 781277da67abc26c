# METADATA
# title: Agents hold no secret of an upstream
# description: |
#   Denies a call that brings a credential of its own, in a header or in an argument the manifest
#   calls one, to an upstream for which the sidecar has credentials.
# labels:
#   owasp: [ASI03]
#   nhi: [NHI2, NHI7]
#   atlas: [AML.T0083, AML.T0098]
package outrider.controls.agent_secret

import data.outrider.lib

# METADATA
# id: JT-01
# custom:
#   refs: [ASI03, NHI2, NHI7, T3, AML.T0083, AML.T0098]
findings contains lib.finding("JT-01", "deny", _message, {"pointer": lib.pointer(name)}) if {
	# There alone does an argument stand for a header.
	not input.action.properties.protocol == "mcp"
	is_object(input.action.properties.arguments)
	some name, _ in input.action.properties.arguments
	startswith(name, "header.")
	name in data.outrider.rules["JT-01"].limits.headers
	not _needs_none
}

# METADATA
# id: JT-01
# custom:
#   refs: [ASI03, NHI2, NHI7, T3, AML.T0083, AML.T0098]
findings contains lib.finding("JT-01", "deny", _message, {"pointer": lib.pointer(name)}) if {
	not data.outrider.lib.plain_entry
	some name, value in lib.arguments_of("credential")
	value != null
	not _needs_none
}

_message := "the agent brings a credential of its own"

_needs_none if data.outrider.manifest[input.resource.properties.upstream].credential == "none"
