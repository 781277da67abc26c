# METADATA
# title: A secret does not travel to a second place
# description: |
#   A call that carries a secret which this task already carried to another destination or tool is
#   denied, the task quarantined, and whoever rotates secrets told.
# labels:
#   owasp: [ASI02]
#   nhi: [NHI2]
package outrider.controls.spread_secret

import data.outrider.lib

# METADATA
# id: SQ-06
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-06", "deny", "a secret would go to a second place", {"obligations": [
	lib.quarantine("task", "SQ-06"),
	lib.notify("rotate", "critical"),
]}) if {
	not input.action.properties.phase == "list"
	not data.outrider.lib.plain_arguments
	not data.outrider.lib.carries_no_secret
	not _goes_to_one_place
}

_goes_to_one_place if lib.within(input.context.behaviour.signals.secret_destinations, 0, 1)
