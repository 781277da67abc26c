# METADATA
# title: Deployment to production waits for a person
# description: |
#   Whatever a tool tagged `deploy` does beyond reading is held, unless sidecar and agent both say
#   that this is not production.
# labels:
#   owasp: [ASI02]
#   csf: [PR.PS-01]
package outrider.controls.deployment

import data.outrider.lib

# METADATA
# id: EF-08
# custom:
#   refs: [ASI02, T2, PR.PS-01]
findings contains lib.finding("EF-08", "hold", "a deployment to production needs a person", {}) if {
	not input.action.properties.effect == "read"
	not input.resource.properties.tags == []
	not _is_no_deployment
	not data.outrider.lib.outside_production
}

_is_no_deployment if {
	is_array(input.resource.properties.tags)
	not _is_tagged
}

_is_tagged if "deploy" in input.resource.properties.tags
