# METADATA
# title: What people rejected twice is not asked a third time
# description: |
#   The same effect, destination and target that people rejected `limits.rejections` times within an
#   hour is denied.
# labels:
#   owasp: [ASI02, ASI09]
package outrider.controls.rejected_before

import data.outrider.lib

# METADATA
# id: SQ-11
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-11", "deny", "people have rejected this before", {}) if {
	not input.context.behaviour.signals.rejected_same_3600s == 0
	not input.action.properties.phase == "list"
	not _is_rare
}

_is_rare if {
	rejected := input.context.behaviour.signals.rejected_same_3600s
	lib.within(rejected, 0, data.outrider.rules["SQ-11"].limits.rejections - 1)
}
