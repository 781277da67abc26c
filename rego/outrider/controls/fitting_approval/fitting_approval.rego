# METADATA
# title: An approval is somebody else's
# description: |
#   Denies an action approved by nobody who is named, by the agent that asks, or, where the code
#   asks four eyes, by the person the task works for. That it is of this very action and used once
#   is the sidecar's to see.
# labels:
#   owasp: [ASI02, ASI09]
#   atlas: [AML.M0029]
#   nist_ai_rmf: [MAP 3.5]
package outrider.controls.fitting_approval

import data.outrider.lib

# METADATA
# id: AP-01
# custom:
#   refs: [ASI02, ASI09, T10, AML.M0029, MAP 3.5]
findings contains lib.finding("AP-01", "deny", "nobody who may has approved this", {}) if {
	input.context.approval.state == "granted"
	not _is_by_others
}

_is_by_others if {
	is_string(input.context.approval.id)
	is_array(input.context.approval.approvers)
	input.context.approval.approvers != []
	every approver in input.context.approval.approvers {
		is_string(approver.id)
		approver.id != input.subject.id
		_may_approve_for(approver.id)
	}
}

# A grave effect is not approved by the one it is done for.
_may_approve_for(_) if input.action.properties.effect in {"read", "write", "send", "share", "delete"}

_may_approve_for(_) if not input.context.task.principal.id

_may_approve_for(approver) if approver != input.context.task.principal.id
