# METADATA
# title: One reading of a place, and no place that is nobody's
# description: |
#   Denies a destination that two readers could take for two hosts, an address that belongs to the
#   machine or its cloud (link-local, metadata), a private one that no zone calls internal, and a
#   path or URL that leads elsewhere than it says. Networks and hosts are in `limits`.
# labels:
#   owasp: [ASI05]
package outrider.controls.canonical_form

import data.outrider.lib

# METADATA
# id: CE-02
# custom:
#   refs: [ASI05]
findings contains lib.finding("CE-02", "deny", message, {"pointer": at}) if {
	not data.outrider.lib.stays_at_upstream
	is_array(input.action.properties.destinations)
	some place in input.action.properties.destinations
	at := object.get(place, "pointer", "")
	is_string(at)
	not _is_plain_name(place)
	message := _objection(place)
}

# METADATA
# id: CE-02
# custom:
#   refs: [ASI05]
findings contains lib.finding("CE-02", "deny", "the upstream is an address of the machine's own", {}) if {
	not input.resource.properties.destination.ip_class == null
	not input.resource.properties.destination.ip_class == "private"
	not input.resource.properties.destination.ip_class == "public"
	not input.resource.properties.destination.ip_class == "loopback"
}

# METADATA
# id: CE-02
# custom:
#   refs: [ASI05]
findings contains lib.finding("CE-02", "deny", _crooked, {"pointer": lib.pointer(name)}) if {
	not data.outrider.lib.plain_entry
	some name, value in data.outrider.lib.paths
	lib.leads_elsewhere(value)
}

_crooked := "the path leads elsewhere than it says"

# The common case, by one look: a name that is not among those forbidden.
_is_plain_name(place) if {
	host := place.host
	lib.is_a_name(host)
	not _is_listed(host)
}

_is_listed(host) if host in _limits.hosts

_objection(place) := "the destination can be read in more than one way" if {
	not _is_readable(place)
} else := "the destination is an address of the machine's own" if {
	_is_forbidden(place.host)
} else := "a private address that no zone calls internal" if {
	not place.zone == "internal"
	lib.within_networks(place.host, _limits.private)
}

_is_readable(place) if is_string(place.host)

# Of a destination without host and value others judge by its zone.
_is_readable(place) if object.filter(place, ["host", "value"]) == {}

_is_forbidden(host) if host in _limits.hosts

_is_forbidden(host) if lib.within_networks(host, _limits.own)

default _limits := {
	"hosts": ["metadata.google.internal"],
	"own": ["169.254.0.0/16", "fe80::/10"],
	"private": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8"],
}

_limits := found if {
	found := data.outrider.rules["CE-02"].limits
	is_array(found.hosts)
	is_array(found.own)
	is_array(found.private)
}
