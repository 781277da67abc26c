# METADATA
# title: Memory of one tenant is for that tenant
# description: |
#   Denies a tool tagged `memory` for another tenant than the one the task works for, or for a task
#   that works for none.
# labels:
#   owasp: [ASI06]
package outrider.controls.memory_tenant

import data.outrider.lib

# METADATA
# id: MM-02
# custom:
#   refs: [ASI06]
findings contains lib.finding("MM-02", "deny", "this memory is another tenant's", {}) if {
	not input.resource.properties.tags == []
	not input.resource.properties.tenant == null
	"memory" in input.resource.properties.tags
	not _is_its_own
}

_is_its_own if {
	is_string(input.resource.properties.tenant)
	input.resource.properties.tenant == input.context.task.principal.tenant
}
