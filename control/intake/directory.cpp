// SPDX-License-Identifier: Apache-2.0
#include "control/intake/directory.hpp"

#include <sodium.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <string>

namespace lf::intake {
namespace {

constexpr size_t kEthernetBytes = 18;  // with a VLAN tag

// The port that a service is announced on: one with an address of its family, and MAC address.
const ports::PortInfo* port_for(const config::Config& config, const config::Service& service,
                                const std::vector<ports::PortInfo>& ports, size_t& index) {
  for (index = 0; index < config.ports.size() && index < ports.size(); ++index)
    for (const config::Prefix& prefix : config.ports[index].addresses)
      if (prefix.ip_version == service.ip_version) return &ports[index];
  index = 0;
  return ports.empty() ? nullptr : &ports[0];
}

void add_entrances(const config::Config& config, const std::vector<ports::PortInfo>& ports,
                   Directory& d) {
  for (const config::Service& service : config.services) {
    Entrance e;
    size_t index = 0;
    const ports::PortInfo* info = port_for(config, service, ports, index);
    if (info == nullptr) continue;
    const config::Port& port = config.ports[index];
    e.address = service.address;
    e.udp_port = service.port;
    e.ip_version = service.ip_version;
    e.port = static_cast<uint8_t>(info->id);
    std::copy_n(info->mac.addr_bytes, e.mac.size(), e.mac.begin());
    e.vlan = port.vlan;
    e.frame_bytes_max = static_cast<uint16_t>(
        std::min<uint32_t>(port.mtu + kEthernetBytes, config.dataplane.mbuf_size));
    d.entrances.push_back(e);
  }
  for (const config::Intent& intent : config.intents) {
    const auto service = std::ranges::find(
        config.services, intent.chain.empty() ? "" : intent.chain.back(), &config::Service::name);
    if (service != config.services.end())
      d.entrance_of[intent.code] = static_cast<uint16_t>(service - config.services.begin());
  }
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// 32 digits, with or without the dashes of a UUID.
bool is_hex_id(std::string_view text, std::array<uint8_t, 16>& id) {
  if (text.size() != 32 && text.size() != 36) return false;
  size_t digits = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = text.size() == 36 && (i == 8 || i == 13 || i == 18 || i == 23);
    if (dash != (text[i] == '-')) return false;
    if (dash) continue;
    const int digit = hex_digit(text[i]);
    if (digit < 0) return false;
    uint8_t& byte = id[digits / 2];
    byte = static_cast<uint8_t>(digits % 2 == 0 ? digit << 4 : byte | digit);
    ++digits;
  }
  return true;
}

}  // namespace

Directory make_directory(const config::Config& config, const std::vector<ports::PortInfo>& ports) {
  Directory d;
  for (const config::Organisation& org : config.organisations) {
    d.orgs.ids.emplace(std::to_string(org.id), org.id);
    if (!org.keys.empty()) d.keys.emplace(org.id, org.keys.front());
  }
  for (const config::Organisation& org : config.organisations) d.orgs.ids[org.name] = org.id;
  if (config.organisations.size() == 1) d.only_org = config.organisations[0].id;
  for (const config::Operator& o : config.operators) {
    const uint32_t org =
        o.organisations.size() == 1 ? d.orgs.find(o.organisations[0]) : kUnknownOrg;
    if (!o.name.empty()) d.operators.emplace(o.name, Directory::Operator{o.id, org});
    if (org != kUnknownOrg) d.operator_orgs.emplace(o.id, org);
  }
  std::set<uint8_t> codes;
  for (const config::Intent& intent : config.intents) {
    d.intents.emplace(intent.name, intent.code);
    codes.insert(intent.code);
  }
  for (int code = 255; code > 0 && d.other_intent == 0; --code)
    if (!codes.contains(static_cast<uint8_t>(code))) d.other_intent = static_cast<uint8_t>(code);
  add_entrances(config, ports, d);
  return d;
}

bool is_number(std::string_view text, uint32_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

Directory::Operator operator_of(const Directory& directory, std::string_view text) {
  if (const auto named = directory.operators.find(text); named != directory.operators.end())
    return named->second;
  Directory::Operator o;
  if (!is_number(text, o.id)) return {};
  const auto org = directory.operator_orgs.find(o.id);
  if (org != directory.operator_orgs.end()) o.org = org->second;
  return o;
}

uint8_t intent_of(const Directory& directory, std::string_view text) {
  if (const auto named = directory.intents.find(text); named != directory.intents.end())
    return named->second;
  uint32_t code = 0;
  return is_number(text, code) && code > 0 && code < 256 ? static_cast<uint8_t>(code)
                                                         : directory.other_intent;
}

uint32_t target_of(std::string_view text) {
  uint32_t number = 0;
  if (is_number(text, number)) return number;
  uint8_t hash[16];
  crypto_generichash(hash, sizeof hash, reinterpret_cast<const uint8_t*>(text.data()), text.size(),
                     nullptr, 0);
  return 1u << 31 | static_cast<uint32_t>(hash[0]) << 24 | static_cast<uint32_t>(hash[1]) << 16 |
         static_cast<uint32_t>(hash[2]) << 8 | hash[3];
}

std::array<uint8_t, 16> id_of(std::string_view text) {
  std::array<uint8_t, 16> id{};
  if (is_hex_id(text, id)) return id;
  crypto_generichash(id.data(), id.size(), reinterpret_cast<const uint8_t*>(text.data()),
                     text.size(), nullptr, 0);
  return id;
}

}  // namespace lf::intake
