// SPDX-License-Identifier: Apache-2.0
// What a command's texts stand for: organisations, operators, intents and satellites as the numbers
// of LCP, the key that its organisation signs with, and where it enters the data plane. Built from
// a configuration, immutable; batches keep the one that they began with.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "control/config/config.hpp"
#include "control/intake/names.hpp"
#include "control/ports/port_set.hpp"

namespace lf::intake {

// A service's endpoint as a client on one of our ports would reach it.
struct Entrance {
  IpAddress address;
  uint16_t udp_port = 0;  // host order
  uint8_t ip_version = 0;
  uint8_t port = 0;  // DPDK port id
  std::array<uint8_t, 6> mac{};
  uint16_t vlan = 0;
  uint16_t frame_bytes_max = 0;
};

struct Directory {
  struct Operator {
    uint32_t id = 0;
    uint32_t org = kUnknownOrg;  // when it belongs to exactly one
  };

  OrgNames orgs;
  std::unordered_map<uint32_t, config::Key> keys;        // by organisation: what we sign with
  uint32_t only_org = kUnknownOrg;                       // when there is one alone
  ByName<Operator> operators;                            // by name
  std::unordered_map<uint32_t, uint32_t> operator_orgs;  // by id, of those with exactly one
  ByName<uint8_t> intents;
  uint8_t other_intent = 0;  // a code that the configuration does not name
  std::vector<Entrance> entrances;
  std::array<uint16_t, 256> entrance_of{};  // by intent code
};

Directory make_directory(const config::Config& config, const std::vector<ports::PortInfo>& ports);

// A decimal number of at most 32 bits, and nothing else.
bool is_number(std::string_view text, uint32_t& value);

// By name or number. An operator that nobody knows is 0, which has no rights; an intent that
// nobody knows is `other_intent`.
Directory::Operator operator_of(const Directory& directory, std::string_view text);
uint8_t intent_of(const Directory& directory, std::string_view text);

// A number stands for itself; other texts get a number above 2^31 by their hash (BLAKE2b, big
// endian, the top bit set), so that it is always the same one.
uint32_t target_of(std::string_view text);

// Sixteen bytes of an id: those of a UUID or of 32 hexadecimal digits, else the text's BLAKE2b.
std::array<uint8_t, 16> id_of(std::string_view text);

}  // namespace lf::intake
