# METADATA
# title: A first in production is remarked on
# description: |
#   The first time that a class of agent uses a tool to this effect in production waits for a person.
#   Ships in shadow.
# labels:
#   owasp: [ASI01, ASI02]
package outrider.controls.first_use

import data.outrider.lib

# METADATA
# id: SQ-09
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-09", "hold", "agents of this class never did this before", {}) if {
	not input.context.behaviour.signals.first_use == false
	not input.action.properties.phase == "list"
	not data.outrider.lib.outside_production
	not data.outrider.lib.is_handshake
}
