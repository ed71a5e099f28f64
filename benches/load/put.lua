-- PUTs, each of which changes something, of the schedules s0 to s<count - 1> of the namespace `bench`; the first
-- argument is count.
local here = debug.getinfo(1, "S").source:match("@(.*/)")
dofile(here .. "report.lua")
local count, n = 1, 0
init = function(args) count = tonumber(args[1]) end
request = function()
  n = n + 1
  local body = string.format('{"targetError":%.4f}', 0.01 + (n % 1000) * 1e-4)
  return wrk.format("PUT", "/config/bench/s" .. (n % count), {["Content-Type"] = "application/json"}, body)
end
