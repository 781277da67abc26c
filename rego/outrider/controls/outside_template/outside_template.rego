# METADATA
# title: Nothing outside the task's template without a person
# description: |
#   Holds what the grant allows but the task's template does not name as usual for its kind. The
#   protocol's own handshake and listings are no part of any task.
# labels:
#   owasp: [ASI01, ASI10]
package outrider.controls.outside_template

import data.outrider.lib

# METADATA
# id: TS-07
# custom:
#   refs: [ASI01, ASI10, T6]
findings contains lib.finding("TS-07", "hold", "a task of this kind does not usually do this", {}) if {
	not input.context.behaviour.signals.outside_template == false
	not _is_the_protocols_own
}

_is_the_protocols_own if {
	input.action.properties.protocol == "mcp"
	input.resource.type == "api"
	input.action.properties.effect == "read"
}
