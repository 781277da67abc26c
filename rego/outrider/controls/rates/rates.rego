# METADATA
# title: Rates and budgets
# description: |
#   Denies more calls in a minute than `limits.calls_60s` (`limits.by_class` for a class of agents),
#   and whatever a task asks past one of its budgets. The sidecar keeps budgets itself; this serves
#   who asks for decisions only.
# labels:
#   owasp: [ASI02]
#   atlas: [AML.T0034.002]
package outrider.controls.rates

import data.outrider.lib

# METADATA
# id: RL-01
# custom:
#   refs: [ASI02, T4, AML.T0034.002]
findings contains lib.finding("RL-01", "deny", "too many calls in a minute", {}) if {
	lib.over(object.get(input, ["context", "behaviour", "counters", "calls_60s"], null), _limit)
}

# METADATA
# id: RL-01
# custom:
#   refs: [ASI02, T4, AML.T0034.002]
findings contains lib.finding("RL-01", "deny", message, {}) if {
	is_object(input.context.task.budget)
	some name, budget in input.context.task.budget
	not budget.limit == null
	lib.over(object.get(budget, "used", null), object.get(budget, "limit", null))
	message := sprintf("the task has spent its budget of %s", [name])
}

default _limit := 0

_limit := data.outrider.rules["RL-01"].limits.by_class[_class] if {
	is_number(data.outrider.rules["RL-01"].limits.by_class[_class])
} else := data.outrider.rules["RL-01"].limits.calls_60s if {
	is_number(data.outrider.rules["RL-01"].limits.calls_60s)
}

_class := data.outrider.agents[input.subject.id].class
