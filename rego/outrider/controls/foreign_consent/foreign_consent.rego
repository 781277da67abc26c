# METADATA
# title: Consent that one agent was shown is not given by another
# description: |
#   A call that completes a consent or device code which another agent was shown is denied.
# labels:
#   owasp: [ASI03, ASI02]
package outrider.controls.foreign_consent

import data.outrider.lib

# METADATA
# id: SQ-22
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding(
	"SQ-22", "deny",
	"another agent was shown what this call consents to",
	{"obligations": [lib.notify("security", "high")]},
) if {
	not input.context.behaviour.signals.consent_other_agent == false
	not input.action.properties.phase == "list"
}
