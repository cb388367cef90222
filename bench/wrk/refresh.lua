-- Refreshes for ever: each answer's refresh token is the next one to present.
--
--   wrk ... URL -- PATH FILE
--
-- FILE holds refresh tokens, one a line, more than there are connections. They wait in a queue:
-- a request takes the oldest, its answer brings the successor to the end.

local path
local queue = {}
local first, last = 1, 0

function init(args)
  path = args[1]
  for line in io.lines(args[2]) do
    last = last + 1
    queue[last] = line
  end
  assert(last > 0, "no refresh tokens")
end

function request()
  local token = queue[first]
  assert(token, "more requests under way than refresh tokens")
  queue[first] = nil
  first = first + 1
  local headers = { ["Content-Type"] = "application/x-www-form-urlencoded" }
  return wrk.format("POST", path, headers, "grant_type=refresh_token&refresh_token=" .. token)
end

function response(status, headers, body)
  local token = body:match('"refresh_token"%s*:%s*"([^"]+)"')
  if token then
    last = last + 1
    queue[last] = token
  end
end

-- The line of lines.lua.
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format("RESULT %d %.6f %d %d %d %d\n",
    summary.requests, summary.duration / 1e6,
    latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
