# METADATA
# title: A denial is not got round with another tool
# description: |
#   What was denied to one tool is denied to every other: same effect, destination and target.
# labels:
#   owasp: [ASI01, ASI02]
package outrider.controls.retried_denial

import data.outrider.lib

# METADATA
# id: SQ-26
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding(
	"SQ-26", "deny",
	"this was denied to another tool",
	{"obligations": [lib.notify("security", "critical")]},
) if {
	not input.context.behaviour.repeats.same_target_after_deny == false
	not input.action.properties.phase == "list"
}
