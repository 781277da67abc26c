# METADATA
# title: The help desk's own rules
# description: |
#   A sample of what a platform team writes: it denies, holds or obliges on its own upstream, with
#   its own data, and cannot allow anything.
# labels:
#   owasp: [ASI02]
package outrider.rules.helpdesk

import data.outrider.lib

# METADATA
# description: A ticket that is under legal hold is not answered by an agent.
# id: HD-01
# custom:
#   refs: [ASI02]
findings contains lib.finding("HD-01", "deny", "this ticket is under legal hold", {"pointer": "/ticket_id"}) if {
	input.resource.properties.upstream == "tickets"
	input.action.properties.effect in {"send", "pay"}
	input.action.properties.arguments.ticket_id in data.outrider.rules.helpdesk.legal_holds
}

# METADATA
# description: Which ticket must be plain; 4711 and "4711" are not the same.
# id: HD-01
# custom:
#   refs: [ASI02]
findings contains lib.finding("HD-01", "deny", "the ticket is not named by a string", {"pointer": "/ticket_id"}) if {
	input.resource.properties.upstream == "tickets"
	input.action.properties.effect in {"send", "pay"}
	not input.action.properties.phase == "list"
	not _is_named
}

# METADATA
# description: A listing of people comes in small pieces.
# id: HD-02
# custom:
#   refs: [ASI02]
findings contains lib.finding("HD-02", "oblige", "people are listed in small pieces", {"obligations": [limit]}) if {
	input.resource.properties.upstream == "people"
	input.action.properties.effect == "read"
	limit := {"type": "limit", "response_bytes": 262144}
}

_is_named if is_string(input.action.properties.arguments.ticket_id)
