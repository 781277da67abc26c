# METADATA
# title: Once a secret was read, nothing goes outside
# description: |
#   A send, a share or a fetch that reaches anything outside is denied for the rest of a task that has
#   read a secret. When it is tried again the task is quarantined.
# labels:
#   owasp: [ASI01, ASI02]
#   nhi: [NHI2]
package outrider.controls.secret_then_outside

import data.outrider.lib

# METADATA
# id: SQ-01
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding(
	"SQ-01", "deny",
	"a secret was read in this task: nothing may go outside",
	{"obligations": _obligations},
) if {
	input.action.properties.effect in {"read", "send", "share"}
	not input.action.properties.phase == "list"
	not input.context.behaviour.highest_sensitivity_read == null
	not input.context.behaviour.highest_sensitivity_read == "public"
	not input.context.behaviour.highest_sensitivity_read == "internal"
	not input.context.behaviour.highest_sensitivity_read == "confidential"
	not data.outrider.lib.stays_inside
	not data.outrider.lib.is_handshake
}

default _obligations := []

_obligations := [lib.quarantine("task", "SQ-01"), lib.notify("security", "critical")] if not _is_first_time

_is_first_time if lib.within(input.context.behaviour.signals.secret_denials, 0, 0)
