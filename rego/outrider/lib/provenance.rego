package outrider.lib

# METADATA
# description: |
#   Where the argument at the pointer `at` comes from: its label, or that of the list it stands in; `model`
#   where nobody says. A name the call does not carry at all is `model` too.
# scope: document
default label_at(_) := "model"

label_at(at) := told.label if {
	is_string(at)
	told := object.get(_provenance, at, object.get(_provenance, _list(at), null))
	is_string(told.label)
}

default _provenance := {}

_provenance := input.action.properties.provenance if is_object(input.action.properties.provenance)

# The pointer of the list that holds the item at `at`.
_list(at) := concat("/", array.slice(parts, 0, count(parts) - 1)) if parts := split(at, "/")

# METADATA
# description: |
#   Arguments that are read by their names but whose values nobody vouches for, `{pointer, role,
#   label}`: of every role but content, amount and control, labelled untrusted or model, or without
#   a label. An argument the manifest gives such a role, or that names a destination, is among them
#   too where the query says nothing of it.
# scope: document
doubtful contains {"pointer": at, "role": role, "label": label} if {
	some at, told in _provenance
	label := _doubt(told)
	role := _role(told)
}

doubtful contains {"pointer": at, "role": "destination", "label": "model"} if {
	is_array(input.action.properties.destinations)
	some destination in input.action.properties.destinations
	at := destination.pointer
	is_string(at)
	not _is_told(at)
}

doubtful contains {"pointer": at, "role": argument.role, "label": "model"} if {
	some name, argument in _given
	argument.role in (authority - {"destination"})
	value := argument.value
	not _says_nothing(value)
	at := pointer(name)
	not _is_told(at)
}

# What makes an entry doubtful: the label to name. Undefined where it is not.
_doubt(told) := "untrusted" if {
	told.label == "untrusted"
} else := "model" if {
	not _is_vouched_for(told)
}

_is_vouched_for(told) if told.label in {"user", "record", "session", "platform"}

# The entry's role; undefined where its value decides nothing.
_role(told) := "unknown" if {
	not told.role
} else := told.role if {
	not _decides_nothing(told)
}

_decides_nothing(told) if told.role in {"content", "amount", "control"}

_is_told(at) if _provenance[at]

_is_told(at) if _provenance[_list(at)]

_says_nothing(value) if value in {null, "", false, true}

_says_nothing(value) if value == []

_says_nothing(value) if value == {}
