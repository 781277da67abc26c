# METADATA
# title: What the manifest does not name is not done in production
# description: |
#   A tool nobody declared counts as `execute`: denied in production, held elsewhere. Where
#   environment is unknown it is production.
# labels:
#   owasp: [ASI02]
#   nhi: [NHI5]
#   csf: [PR.AA-05]
package outrider.controls.undeclared

import data.outrider.lib

# METADATA
# id: TS-02
# custom:
#   refs: [ASI02, NHI5, PR.AA-05]
findings contains lib.finding("TS-02", "deny", "the manifest does not name this, and this is production", {}) if {
	not input.resource.properties.declared == true
	not _is_the_protocols_own
	not data.outrider.lib.outside_production
}

# METADATA
# id: TS-02
# custom:
#   refs: [ASI02, NHI5, PR.AA-05]
findings contains lib.finding("TS-02", "hold", "the manifest does not name this: a person decides", {}) if {
	not input.resource.properties.declared == true
	not _is_the_protocols_own
	data.outrider.lib.outside_production
}

# Handshake, listing, reading a resource: methods whose effect their specification settles.
_is_the_protocols_own if {
	input.resource.type in {"api", "resource", "prompt", "model", "agent", "host"}
	not input.action.properties.effect == "execute"
}
