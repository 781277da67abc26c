# METADATA
# title: Somebody looks before the first message to a new place
# description: |
#   What reaches a place outside that this class of agent never reached before for this principal is
#   held, unless the user named everything that decides it and it carries no untrusted content. A bare
#   fetch, which tells the place nothing but where it is, passes.
# labels:
#   owasp: [ASI01, ASI02]
package outrider.controls.new_destination

import data.outrider.lib

# METADATA
# id: SQ-08
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding(
	"SQ-08", "hold",
	"this place outside is new, and not all of it was named by the user",
	{},
) if {
	not input.action.properties.phase == "list"
	not data.outrider.lib.stays_inside
	not data.outrider.lib.is_handshake
	not _is_familiar
	not _is_the_users
	not _is_bare
}

_is_familiar if {
	is_array(input.action.properties.destinations)
	every place in input.action.properties.destinations {
		_is_known(place)
	}
}

_is_known(place) if place.zone == "internal"

_is_known(place) if place.first_seen == false

_is_the_users if {
	is_object(input.action.properties.provenance)
	input.action.properties.provenance != {}
	every entry in input.action.properties.provenance {
		_may_be_new(entry)
	}
	is_array(input.action.properties.destinations)
	every place in input.action.properties.destinations {
		_is_named(place)
	}
}

_may_be_new(entry) if entry.label == "user"

# What is told to somebody new is for other controls to judge; where it goes is for the user to say.
_may_be_new(entry) if entry.role in {"content", "amount", "control"}

_may_be_new(entry) if {
	entry.role in {"target", "selector"}
	entry.label in {"record", "session", "platform"}
}

_is_named(place) if place.pointer == null

_is_named(place) if place.zone == "internal"

_is_named(place) if lib.label_at(place.pointer) == "user"

_is_bare if {
	input.action.properties.effect == "read"
	is_object(input.action.properties.provenance)
	every entry in input.action.properties.provenance {
		entry.role in {"destination", "control"}
	}
	is_array(input.action.properties.destinations)
	every place in input.action.properties.destinations {
		_asks_nothing(place)
	}
}

_asks_nothing(place) if place.value == null

_asks_nothing(place) if {
	is_string(place.value)
	indexof(place.value, "?") == -1
}
