// SPDX-License-Identifier: Apache-2.0
// Strong limits and small index types shared by the data plane and the control side.
// Every array that a worker touches is sized by one of these: nothing grows after start-up.
#pragma once

#include <cstdint>

namespace lf {

__extension__ typedef unsigned __int128 UInt128;
__extension__ typedef __int128 Int128;  // wide products; __extension__ quiets -Wpedantic

// Time-stamp counter ticks. Workers read it once a burst; everything else takes it as an argument.
using Tsc = uint64_t;

inline constexpr uint32_t kBurstMax = 64;       // packets a worker handles at once
inline constexpr uint32_t kWorkersMax = 32;     // worker lcores
inline constexpr uint32_t kPortsMax = 16;       // DPDK ports
inline constexpr uint32_t kNodesMax = 4096;     // node slots, over all services
inline constexpr uint32_t kServicesMax = 256;   // services
inline constexpr uint32_t kIntentsMax = 16;     // configured intents; index 0 is "any other"
inline constexpr uint32_t kRegionsMax = 32;     // regions
inline constexpr uint32_t kOrgsMax = 1u << 17;  // organisations
inline constexpr uint32_t kCacheLine = 64;

// A stable slot that control assigns to a node for as long as that node is configured.
using NodeSlot = uint16_t;
inline constexpr NodeSlot kNoNode = 0xffff;

// Dense index of a configured service, organisation, intent. Dense indices live as long as the
// configuration that assigned them keeps the entity; control never renumbers a living one.
using ServiceIndex = uint16_t;
inline constexpr ServiceIndex kNoService = 0xffff;
using OrgIndex = uint32_t;
inline constexpr OrgIndex kNoOrg = 0xffffffff;
using IntentIndex = uint8_t;
inline constexpr IntentIndex kOtherIntent = 0;

static_assert(kNodesMax < kNoNode && kServicesMax < kNoService && kOrgsMax < kNoOrg);
static_assert(kBurstMax <= 256, "selection vectors hold 8-bit indices");

}  // namespace lf
