package outrider.lib

# METADATA
# description: |
#   Whether nothing untrusted was read, neither by this task nor by whoever delegated it. What is
#   not plainly known was read.
untainted if {
	input.context.behaviour.flags.untrusted_read == false
	_comes_untainted
}

_comes_untainted if input.context.delegation == null

_comes_untainted if input.context.delegation.flags == {}

_comes_untainted if input.context.delegation.flags.untrusted_read == false

# METADATA
# description: |
#   Whether this is a method of the protocol's own (handshake, listing, ping) that was looked at
#   whole and carries no secret: it then says nothing of anybody's data.
is_handshake if {
	input.action.properties.protocol == "mcp"
	input.resource.type == "api"
	input.action.properties.provenance_incomplete == false
	carries_no_secret
}

# METADATA
# description: |
#   Whether the task makes so few calls that no rate is looked at: `limits.calm_60s` of RL-01.
is_unhurried if {
	calls := input.context.behaviour.counters.calls_60s
	within(calls, 0, data.outrider.rules["RL-01"].limits.calm_60s)
}

# METADATA
# description: Whether the calendar names no hours, windows or freezes.
no_calendar if data.outrider.calendar == {"hours": {}, "windows": {}, "freezes": {}}

# METADATA
# description: Whether every argument was looked at for secrets, and none carries one.
carries_no_secret if {
	is_object(input.action.properties.provenance)
	every entry in input.action.properties.provenance {
		entry.secrets == []
	}
}

# METADATA
# description: |
#   Whether every argument is known to be of the common kind: no secret in it, no link or address,
#   no command, not from memory. What looks for one of these asks this first.
plain_arguments if {
	is_object(input.action.properties.provenance)
	every entry in input.action.properties.provenance {
		entry.secrets == []
		entry.tokens == []
		not entry.role == "command"
		_is_no_memory(entry)
	}
}

_is_no_memory(entry) if {
	entry.sources == []
} else if {
	is_array(entry.sources)
	every source in entry.sources {
		substring(source, 0, 4) != "mem_"
	}
}

# METADATA
# description: |
#   Whether `value` is a number above `limit`: false for everything else. Only what is found beside
#   `over` or `not within` may rest on it.
# scope: document
default exceeds(_, _) := false

exceeds(value, limit) if {
	is_number(value)
	is_number(limit)
	value > limit
}

# METADATA
# description: An obligation to tell `channel` of a finding.
notify(channel, severity) := {"type": "notify", "channel": channel, "severity": severity}

# METADATA
# description: An obligation to quarantine `scope`, for the reason of the code `reason`.
quarantine(scope, reason) := {"type": "quarantine", "scope": scope, "reason": reason}
