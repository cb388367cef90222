-- Sends one request per line of a file, in the file's order, for ever.
--
--   wrk ... URL -- TEMPLATE LINES OFFSET
--
-- TEMPLATE is a whole HTTP request in which @LINE@ stands for the line. All
-- lines have the same length, so the Content-Length in the template is right
-- for each of them. OFFSET is the number of lines to skip, so that runs of one
-- session do not all begin with the same tokens.

local head, tail
local lines = {}
local count = 0
local current = 0

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local template = file:read("*a")
  file:close()
  local from, to = template:find("@LINE@", 1, true)
  assert(from, "the template has no @LINE@")
  head, tail = template:sub(1, from - 1), template:sub(to + 1)

  for line in io.lines(args[2]) do
    count = count + 1
    lines[count] = line
    assert(#line == #lines[1], "the lines differ in length")
  end
  assert(count > 0, "no lines")
  current = (tonumber(args[3]) or 0) % count
end

function request()
  current = current % count + 1
  return head .. lines[current] .. tail
end

-- One line that a program can read: requests, seconds, microseconds at the
-- median and at 99 %, answers other than 2xx and 3xx, broken connections.
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format("RESULT %d %.6f %d %d %d %d\n",
    summary.requests, summary.duration / 1e6,
    latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
