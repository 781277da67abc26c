# METADATA
# title: An identity is of one environment
# description: |
#   Denies whatever an agent asks in another environment than its own, as `data.outrider.agents` and
#   the sidecar name them. Where the agent has none there is nothing to compare.
# labels:
#   nhi: [NHI8, NHI9]
#   mitre_attack: [Lateral Movement]
package outrider.controls.identity_scope

import data.outrider.lib

# METADATA
# id: ID-02
# custom:
#   refs: [NHI8, NHI9, Lateral Movement (L4)]
findings contains lib.finding("ID-02", "deny", "the agent is of another environment", {}) if {
	not input.subject.properties.environment == input.context.environment
	not input.subject.properties.environment == null
	is_string(input.subject.properties.environment)
	input.subject.properties.environment != ""
}
