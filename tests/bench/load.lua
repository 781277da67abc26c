-- The client's side of one cell, for wrk. Arguments after "--": a file of "Name: value" lines,
-- a file with the body, and the pause in milliseconds a connection makes before each call.
-- The request stays static (built once), so the client costs the same on every leg.

function init(args)
  wrk.method = "POST"
  for line in io.lines(args[1]) do
    local name, value = line:match("^([^:]+): (.*)$")
    wrk.headers[name] = value
  end
  local file = assert(io.open(args[2], "rb"))
  wrk.body = file:read("*a")
  file:close()
  local pause_ms = tonumber(args[3])
  if pause_ms > 0 then
    delay = function() return pause_ms end
  end
end

function done(summary, latency, requests)
  io.write(string.format(
    '\nFIGURES {"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,'
      .. '"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\n',
    summary.requests, summary.duration,
    latency:percentile(50.0), latency:percentile(99.0),
    summary.errors.connect, summary.errors.read, summary.errors.write,
    summary.errors.status, summary.errors.timeout
  ))
end
