# METADATA
# title: Sharing with someone outside waits for a person
# description: |
#   A share, forwarding rule, public link or collaborator is held unless every destination is
#   known to be internal, the one the call names among them.
# labels:
#   owasp: [ASI02]
#   nhi: [NHI2]
#   csf: [PR.DS]
package outrider.controls.share_external

import data.outrider.lib

# METADATA
# id: SQ-31
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-31", "hold", "sharing outside the organisation needs a person", {}) if {
	input.action.properties.effect == "share"
	not _with_insiders
}

_with_insiders if {
	data.outrider.lib.addressed
	data.outrider.lib.stays_inside
}
