# METADATA
# title: No burst of children
# description: |
#   Denies one more child once a task has started `limits.children` and the last of them is younger
#   than `limits.within_s`, and puts the task in quarantine. Young children are SQ-07's.
# labels:
#   owasp: [ASI10]
#   atlas: [AML.T0103]
package outrider.controls.spawn_burst

import data.outrider.lib

# METADATA
# id: DL-03
# custom:
#   refs: [ASI10, AML.T0103]
findings contains lib.finding("DL-03", "deny", "the task starts too many children", {"obligations": [{
	"type": "quarantine",
	"scope": "task",
	"reason": "DL-03",
}]}) if {
	not input.resource.properties.tags == []
	"spawn" in input.resource.properties.tags
	not _are_few
}

_are_few if {
	is_object(input.context.behaviour.tags)
	not input.context.behaviour.tags.spawn
}

_are_few if lib.within(input.context.behaviour.tags.spawn.count, 0, data.outrider.rules["DL-03"].limits.children - 1)

_are_few if {
	age_s := input.context.behaviour.tags.spawn.age_s
	is_number(age_s)
	age_s >= data.outrider.rules["DL-03"].limits.within_s
}
