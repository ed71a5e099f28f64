-- Feedback on the schedules s0 to s<count - 1> of the namespace `bench`, in turn; the first argument is count.
local here = debug.getinfo(1, "S").source:match("@(.*/)")
dofile(here .. "report.lua")
local count, n = 1, 0
local body = '{"window_seconds":1,"flavour_counts":{"precision-100":80,"precision-85":15,"precision-70":5}}'
init = function(args) count = tonumber(args[1]) end
request = function()
  n = n + 1
  return wrk.format("POST", "/feedback/bench/s" .. (n % count), {["Content-Type"] = "application/json"}, body)
end
