-- GETs of the schedules s0 to s<count - 1> of the namespace `bench`, in turn; the first argument is count, and 0
-- means the default schedule.
local here = debug.getinfo(1, "S").source:match("@(.*/)")
dofile(here .. "report.lua")
local count, n = 1, 0
init = function(args) count = tonumber(args[1]) end
request = function()
  if count == 0 then return wrk.format("GET", "/schedule") end
  n = (n + 7919) % count
  return wrk.format("GET", "/schedule/bench/s" .. n)
end
