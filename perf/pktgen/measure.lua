-- SPDX-License-Identifier: Apache-2.0
-- What the scripts here share: settings from the environment, and a measured run of a port.

local M = {}

function M.setting(name, otherwise)
  local value = os.getenv(name)
  return (value ~= nil and value ~= "") and value or otherwise
end

function M.number(name, otherwise) return tonumber(M.setting(name, tostring(otherwise))) end

-- Sends from `port` for LCP_SECONDS, prints packets a second of every port as a line of JSON, writes it
-- to LCP_REPORT, and ends Pktgen.
function M.run(port, size)
  local seconds = M.number("LCP_SECONDS", 10)
  pktgen.screen("off")
  pktgen.clr()
  pktgen.start(port)
  pktgen.delay(1000)  -- start-up is not counted
  local before = pktgen.portStats("all", "port")
  pktgen.delay(seconds * 1000)
  local after = pktgen.portStats("all", "port")
  pktgen.stop(port)
  local line = string.format('{"size": %d, "seconds": %d', size, seconds)
  for at = 0, after.n - 1 do
    line = line .. string.format(', "port%d": {"tx_pps": %.0f, "rx_pps": %.0f}', at,
                                 (after[at].opackets - before[at].opackets) / seconds,
                                 (after[at].ipackets - before[at].ipackets) / seconds)
  end
  line = line .. "}"
  print(line)
  local report = M.setting("LCP_REPORT", "")
  if report ~= "" then
    local file = assert(io.open(report, "w"))
    file:write(line, "\n")
    file:close()
  end
  pktgen.quit()
end

return M
