-- SPDX-License-Identifier: Apache-2.0
-- Pktgen-DPDK script: LCP commands at full rate. Every command has a random id (64 bits of it), a random
-- organisation out of a range and a random operator out of a range; all else of the header is as wire.md
-- says. Pktgen cannot compute tags or UDP checksums over random bytes, so commands go out untagged and
-- with UDP checksum 0 (IPv4 allows it): the service needs `authentication: off`.
--
--   pktgen … -- -P -m "1.0" -f perf/pktgen/lcp.lua
--
-- Settings come from the environment:
--   LCP_PORT        port to send from                          0
--   LCP_PORT_MAC    MAC address of the data plane              02:00:00:00:00:01
--   LCP_SOURCE      our address and prefix                     10.7.0.2/24
--   LCP_TARGET      the service's address                      10.7.0.1
--   LCP_SIZE        bytes of a frame with its check sequence, 126..1518    132
--   LCP_RATE        percent of the line rate                   100
--   LCP_ORG_BITS    organisations 1..2^n (a power of two)      0 (organisation 1 alone)
--   LCP_OPERATOR    operator                                   1
--   LCP_INTENT      code of the intent                         1
--   LCP_SECONDS     how long                                   10
--   LCP_REPORT      file for a line of JSON                    (none)

package.path = package.path .. ";?.lua;test/?.lua;app/?.lua;../?.lua"
require "Pktgen"

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or ""
local measure = dofile(here .. "measure.lua")
local setting, number = measure.setting, measure.number

local port = setting("LCP_PORT", "0")
local size = number("LCP_SIZE", 132)
local org_bits = number("LCP_ORG_BITS", 0)

local LCP_AT = 42  -- Ethernet, IPv4, UDP
local HEADER, CHECK_SEQUENCE = 80, 4
local payload = size - CHECK_SEQUENCE - LCP_AT - HEADER
assert(payload >= 0, "LCP_SIZE must be at least 126")

-- 32 bits of a value, the last `random` of them left to Pktgen.
local function word(value, random)
  local text = ""
  for bit = 31, 0, -1 do
    if bit < (random or 0) then text = text .. "X" else text = text .. ((value >> bit) & 1) end
  end
  return text
end

local used = 0
local function set(offset, mask)
  pktgen.rnd(port, used, offset, mask)
  used = used + 1
end

local deadline_us = (os.time() + 24 * 3600) * 1000000
local first = org_bits > 0 and 0 or 1  -- a range starts at 0: organisation 0 is none, and refused

pktgen.set_mac(port, "dst", setting("LCP_PORT_MAC", "02:00:00:00:00:01"))
pktgen.set_ipaddr(port, "src", setting("LCP_SOURCE", "10.7.0.2/24"))
pktgen.set_ipaddr(port, "dst", setting("LCP_TARGET", "10.7.0.1"))
pktgen.set_proto(port, "udp")
pktgen.set_type(port, "ipv4")
pktgen.set(port, "sport", 40000)
pktgen.set(port, "dport", 7171)
pktgen.set(port, "size", size)
pktgen.set(port, "rate", number("LCP_RATE", 100))
pktgen.set(port, "count", 0)
pktgen.set(port, "burst", 32)

-- Words of the header, in network order (docs/lcp.md).
set(38, "................" .. string.rep("0", 16))                     -- UDP checksum: none
set(LCP_AT + 0, word(0x4C460101))                                      -- magic, version 1, COMMAND
set(LCP_AT + 4, word((number("LCP_INTENT", 1) << 16) | (1 << 8)))      -- no flags, intent, severity 1
set(LCP_AT + 8, word(first, org_bits))
set(LCP_AT + 12, word(number("LCP_OPERATOR", 1)))
set(LCP_AT + 16, word(0, 32))                                          -- command id
set(LCP_AT + 20, word(0, 32))
set(LCP_AT + 24, word(0))
set(LCP_AT + 28, word(0))
for offset = 32, 44, 4 do set(LCP_AT + offset, word(0)) end            -- trace id
set(LCP_AT + 48, word(deadline_us >> 32))
set(LCP_AT + 52, word(deadline_us & 0xffffffff))
set(LCP_AT + 56, word(1))                                              -- target
set(LCP_AT + 60, word(payload << 16))                                  -- payload length, no key
for offset = 64, 76, 4 do set(LCP_AT + offset, word(0)) end            -- no tag

measure.run(port, size)
