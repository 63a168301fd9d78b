-- SPDX-License-Identifier: Apache-2.0
-- Pktgen-DPDK script: plain UDP at full rate over a range of sources, for flow services and to see what
-- the port alone can do. Settings as in lcp.lua, and:
--   PLAIN_FLOWS     number of flows (source ports)             10000
--   PLAIN_DPORT     destination port                           53

package.path = package.path .. ";?.lua;test/?.lua;app/?.lua;../?.lua"
require "Pktgen"

local function setting(name, otherwise)
  local value = os.getenv(name)
  return (value ~= nil and value ~= "") and value or otherwise
end

local port = setting("LCP_PORT", "0")
local seconds = tonumber(setting("LCP_SECONDS", "10"))
local size = tonumber(setting("LCP_SIZE", "64"))
local flows = tonumber(setting("PLAIN_FLOWS", "10000"))
local source = setting("LCP_SOURCE", "10.7.0.2/24"):match("^[^/]+")
local target = setting("LCP_TARGET", "10.7.0.1")
local mac = setting("LCP_PORT_MAC", "02:00:00:00:00:01")

local function fixed(what, value)
  pktgen.range[what](port, "start", value)
  pktgen.range[what](port, "min", value)
  pktgen.range[what](port, "max", value)
end
local function still(what, value)
  fixed(what, value)
  pktgen.range[what](port, "inc", 0)
end

pktgen.range.dst_mac(port, "start", mac)
pktgen.range.dst_mac(port, "min", mac)
pktgen.range.dst_mac(port, "max", mac)
pktgen.range.dst_mac(port, "inc", "00:00:00:00:00:00")
fixed("src_ip", source)
pktgen.range.src_ip(port, "inc", "0.0.0.0")
fixed("dst_ip", target)
pktgen.range.dst_ip(port, "inc", "0.0.0.0")
pktgen.range.ip_proto(port, "udp")
pktgen.range.src_port(port, "start", 1024)
pktgen.range.src_port(port, "min", 1024)
pktgen.range.src_port(port, "max", 1024 + math.min(flows, 60000) - 1)
pktgen.range.src_port(port, "inc", 1)
still("dst_port", tonumber(setting("PLAIN_DPORT", "53")))
still("pkt_size", size)
pktgen.set(port, "rate", tonumber(setting("LCP_RATE", "100")))
pktgen.set(port, "count", 0)
pktgen.set_range(port, "on")

pktgen.screen("off")
pktgen.clr()
pktgen.start(port)
pktgen.delay(1000)
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
local report = setting("LCP_REPORT", "")
if report ~= "" then
  local file = assert(io.open(report, "w"))
  file:write(line, "\n")
  file:close()
end
pktgen.quit()
