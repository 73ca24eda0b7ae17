-- wrk -s wrk.lua URL -- METHOD: the figures as one line of JSON after wrk's own report; times in microseconds.
function init(arguments)
  wrk.method = arguments[1]
end

function done(summary, latency, requests)
  local failed = summary.errors
  print(string.format('{"n":%d,"duration":%d,"p99":%d,"refused":%d,"broken":%d}', summary.requests, summary.duration,
    latency:percentile(99), failed.status, failed.connect + failed.read + failed.write + failed.timeout))
end
