-- SPDX-License-Identifier: Apache-2.0
-- Pktgen-DPDK script: plain UDP at full rate over a range of sources, for flow services and to see what
-- the port alone can do. Settings as in lcp.lua, and:
--   PLAIN_FLOWS     number of flows (source ports)             10000
--   PLAIN_DPORT     destination port                           53

package.path = package.path .. ";?.lua;test/?.lua;app/?.lua;../?.lua"
require "Pktgen"

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or ""
local measure = dofile(here .. "measure.lua")
local setting, number = measure.setting, measure.number

local port = setting("LCP_PORT", "0")
local size = number("LCP_SIZE", 64)
local flows = number("PLAIN_FLOWS", 10000)
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
still("dst_port", number("PLAIN_DPORT", 53))
still("pkt_size", size)
pktgen.set(port, "rate", number("LCP_RATE", 100))
pktgen.set(port, "count", 0)
pktgen.set_range(port, "on")

measure.run(port, size)
