package outrider.lib

# METADATA
# description: |
#   The arguments the manifest calls paths or URLs, by name; of one that is no text, every text in
#   it, by pointer.
# scope: document
paths[at] := text if {
	is_object(entry.arguments)
	some name, declared in entry.arguments
	declared.type in {"path", "url"}
	some at, text in _texts(name)
}

_texts(name) := {name: value} if {
	value := object.get(_arguments, _path(name), null)
	is_string(value)
} else := {at: text |
	wanted := _path(name)
	walk(_beginning_with(wanted), [steps, text])
	is_string(text)
	_is_under(wanted, steps)
	at := concat("/", array.concat([""], [_escaped(step) | some step in steps]))
}

_escaped(step) := replace(replace(sprintf("%v", [step]), "~", "~0"), "/", "~1")

_beginning_with(wanted) := _arguments if wanted[0] == "*"

_beginning_with(wanted) := object.filter(_arguments, [wanted[0]]) if not wanted[0] == "*"

# In a declared pointer `*` stands for each item.
_is_under(wanted, steps) if {
	count(steps) >= count(wanted)
	every at, step in wanted {
		_is_step(step, steps[at])
	}
}

_is_step(wanted, step) if wanted in {"*", sprintf("%v", [step])}

# METADATA
# description: |
#   Whether a path or URL could lead elsewhere than it says: a step up, a step that is escaped, a
#   backslash or a NUL.
# scope: document
leads_elsewhere(path) if {
	some step in split(replace(lower(path), "\\", "/"), "/")
	step in {"..", ".%2e", "%2e.", "%2e%2e"}
}

leads_elsewhere(path) if {
	some hidden in ["\\", "\u0000", "%00", "%2e", "%2f", "%5c"]
	contains(lower(split(path, "?")[0]), hidden)
}

# METADATA
# description: Whether `host` can be no address, by its first character and for want of a colon.
# scope: document
default is_a_name(_) := false

is_a_name(host) if {
	is_string(host)
	first := substring(host, 0, 1)
	not first in {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}
	indexof(host, ":") == -1
}

# METADATA
# description: Whether `host` is an address, and in one of `networks`.
# scope: document
within_networks(host, networks) if {
	not is_a_name(host)
	regex.match(`^([0-9]{1,3}([.][0-9]{1,3}){3}|[0-9a-f:]*:[0-9a-f:.]*)$`, host)
	some network in networks
	_is_of_one_kind(network, host)
	net.cidr_contains(network, host)
}

_is_of_one_kind(network, host) if {
	contains(network, ":")
	contains(host, ":")
}

_is_of_one_kind(network, host) if {
	not contains(network, ":")
	not contains(host, ":")
}
