# METADATA
# title: An agent's identity without a task
# description: |
#   Has security told of calls under an agent's identity for which there is neither a task nor a
#   standing grant. The default denies them.
# labels:
#   nhi: [NHI10]
package outrider.controls.without_task

import data.outrider.lib

# METADATA
# id: ID-04
# custom:
#   refs: [NHI10, T8]
findings contains lib.finding("ID-04", "oblige", "an agent's identity is used without a task", {"obligations": [{
	"type": "notify",
	"channel": "security",
	"severity": "high",
}]}) if {
	input.context.task == null
	input.subject.type == "agent"
}
