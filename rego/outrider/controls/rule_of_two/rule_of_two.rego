# METADATA
# title: Untrusted content, sensitive data and a change do not meet in one task
# description: |
#   The Rule of Two: after something untrusted and something sensitive were read, whatever changes
#   anything or reaches outside is a matter for a person, to the end of the task. It ships in shadow;
#   for agents of tier high what reaches outside is held whatever the mode.
# labels:
#   owasp: [ASI01, ASI02]
package outrider.controls.rule_of_two

import data.outrider.lib

# METADATA
# id: SQ-03
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-03", "hold", _message, {}) if {
	not input.context.behaviour.flags.sensitive_read == false
	not input.action.properties.phase == "list"
	not input.action.properties.class == "read"
	not data.outrider.lib.untainted
}

# METADATA
# id: SQ-03
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-03", "hold", _message, {}) if {
	not input.context.behaviour.flags.sensitive_read == false
	not input.action.properties.phase == "list"
	not data.outrider.lib.stays_inside
	not data.outrider.lib.untainted
	not data.outrider.lib.is_handshake
}

_message := "this task has read untrusted content and sensitive data"
