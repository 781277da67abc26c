# METADATA
# title: An agent that is offboarded or quarantined is out
# description: |
#   Denies whatever such an agent asks, from the moment its status changes, in the query or in
#   `data.outrider.agents`. Any status but `active` is not permitted either.
# labels:
#   owasp: [ASI10]
#   nhi: [NHI1]
#   nist_ai_rmf: [GOVERN 1.7]
package outrider.controls.identity_status

import data.outrider.lib

# METADATA
# id: ID-03
# custom:
#   refs: [NHI1, ASI10, GOVERN 1.7]
findings contains lib.finding("ID-03", "deny", "the agent is offboarded or quarantined", {}) if {
	input.subject.properties.status in {"offboarded", "quarantined"}
}

# METADATA
# id: ID-03
# custom:
#   refs: [NHI1, ASI10, GOVERN 1.7]
findings contains lib.finding("ID-03", "deny", "the agent is offboarded or quarantined", {}) if {
	not data.outrider.lib.agent_stands
	data.outrider.lib.agent.status in {"offboarded", "quarantined"}
}
