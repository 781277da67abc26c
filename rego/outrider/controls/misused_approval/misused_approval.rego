# METADATA
# title: An approval is for one action, once
# description: |
#   A call that names an approval of another action, task or agent, or one that is used up, is denied.
# labels:
#   owasp: [ASI02, ASI09]
package outrider.controls.misused_approval

import data.outrider.lib

# METADATA
# id: SQ-10
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding(
	"SQ-10", "deny",
	"the approval named here is of something else, or used up",
	{"obligations": [lib.notify("security", "high")]},
) if {
	not input.context.behaviour.signals.approval_misuse == false
	not input.action.properties.phase == "list"
}
