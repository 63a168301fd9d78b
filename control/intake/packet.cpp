// SPDX-License-Identifier: Apache-2.0
#include "control/intake/packet.hpp"

#include <rte_ether.h>
#include <rte_ip.h>
#include <simdjson.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "control/intake/deadline.hpp"
#include "control/probe/frame.hpp"
#include "dataplane/net/address.hpp"

namespace lf::intake {
namespace {

using simdjson::dom::element;

constexpr rte_ether_addr kOurMac = {{0x02, 'l', 'f', 'i', 'n', 0}};  // locally administered
constexpr uint32_t kDummyIpv4 = RTE_BE32(RTE_IPV4(192, 0, 0, 8));  // RFC 7600
constexpr uint8_t kDiscardIpv6[16] = {0x01, 0, 0, 0, 0, 0, 0, 0,  // RFC 6666: 100::/64
                                      0,    0, 0, 0, 0, 0, 0, 1};

// The frame as the data plane would get it from a client.
std::vector<uint8_t> frame_of(const Entrance& to, lcp::Bytes datagram) {
  forward::Node us;
  us.address = to.address;
  us.source = to.ip_version == 4 ? net::from_ipv4(kDummyIpv4) : net::from_ipv6(kDiscardIpv6);
  us.port = rte_cpu_to_be_16(to.udp_port);
  std::copy(to.mac.begin(), to.mac.end(), us.mac.addr_bytes);
  us.source_mac = kOurMac;
  us.vlan_tci = to.vlan;
  us.ip_version = to.ip_version;
  return probe::frame_to(us, datagram);
}

// A text as it is, any other value as JSON.
std::string text_of(element value) {
  std::string_view text;
  if (value.get(text) == simdjson::SUCCESS) return std::string(text);
  return value.is_null() ? "" : simdjson::minify(value);
}

uint8_t small_number(element value, uint8_t least, uint8_t most) {
  int64_t number = 0;
  if (value.get(number) != simdjson::SUCCESS) return least;
  return static_cast<uint8_t>(std::clamp<int64_t>(number, least, most));
}

}  // namespace

std::string_view name_of(Unsendable why) {
  switch (why) {
    case Unsendable::no_organisation:
      return "no such organisation";
    case Unsendable::no_key:
      return "the organisation has no key";
    case Unsendable::too_large:
      return "too large for a frame";
    case Unsendable::no_service:
      return "no service takes it";
    case Unsendable::none:
      break;
  }
  return "";
}

struct PacketMaker::Parser {
  simdjson::dom::parser parser;
};

PacketMaker::PacketMaker(const Directory& directory)
    : directory_(directory), parser_(std::make_unique<Parser>()) {}
PacketMaker::~PacketMaker() = default;

Packet PacketMaker::make(std::string_view row) {
  Packet out;
  simdjson::dom::object object;
  if (parser_->parser.parse(row.data(), row.size(), false).get(object) != simdjson::SUCCESS)
    return out;
  lcp::Fields fields;
  fields.flags = lcp::kFlagWantsReply;
  std::string org;
  Directory::Operator issuer;
  for (const auto [key, value] : object) {
    if (key == "command_id") {
      fields.command_id = id_of(text_of(value));
    } else if (key == "trace_id") {
      fields.trace_id = id_of(text_of(value));
    } else if (key == "satellite_id") {
      fields.target_id = target_of(text_of(value));
    } else if (key == "intent") {
      fields.intent = intent_of(directory_, text_of(value));
    } else if (key == "issued_by") {
      issuer = operator_of(directory_, text_of(value));
    } else if (key == "org") {
      org = text_of(value);
    } else if (key == "severity") {
      fields.severity = small_number(value, lcp::kSeverityMin, lcp::kSeverityMax);
    } else if (key == "attempt") {
      fields.attempt = small_number(value, 0, 255);
    } else if (key == "deadline") {
      std::string_view text;
      double seconds = 0;
      int64_t whole = 0;
      const Deadline deadline = value.get(text) == simdjson::SUCCESS      ? deadline_of(text)
                                : value.get(whole) == simdjson::SUCCESS   ? deadline_of(whole)
                                : value.get(seconds) == simdjson::SUCCESS ? deadline_of(seconds)
                                                                          : Deadline{};
      fields.deadline_us = static_cast<uint64_t>(std::max<int64_t>(deadline.unix_us, 0));
    }
  }
  out.command_id = fields.command_id;
  out.org_id = !org.empty()                ? directory_.orgs.find(org)
               : issuer.org != kUnknownOrg ? issuer.org
                                           : directory_.only_org;
  fields.org_id = out.org_id;
  fields.operator_id = issuer.id;
  const auto refused = [&](Unsendable why) {
    out.why_not = why;
    return std::move(out);
  };
  if (out.org_id == kUnknownOrg) return refused(Unsendable::no_organisation);
  const auto key = directory_.keys.find(out.org_id);
  if (key == directory_.keys.end()) return refused(Unsendable::no_key);
  if (directory_.entrances.empty()) return refused(Unsendable::no_service);
  fields.key_id = key->second.id;
  const Entrance& to = directory_.entrances[directory_.entrance_of[fields.intent]];
  const std::string_view payload = member_text(row, "payload");
  std::vector<uint8_t> datagram(sizeof(lcp::Header) + payload.size());
  const size_t size = lcp::encode(
      datagram, fields, {reinterpret_cast<const uint8_t*>(payload.data()), payload.size()});
  if (size == 0) return refused(Unsendable::too_large);
  auto signer = signers_.find(out.org_id);
  if (signer == signers_.end())
    signer = signers_.emplace(out.org_id, lcp::Signer(key->second.bytes)).first;
  signer->second.sign(datagram);
  out.port = to.port;
  out.frame = frame_of(to, datagram);
  if (out.frame.size() > to.frame_bytes_max) return refused(Unsendable::too_large);
  return out;
}

std::string_view member_text(std::string_view object, std::string_view key) {
  std::string_view found;
  size_t depth = 0, value_at = 0;
  bool wanted = false, expects_key = false;
  for (size_t i = 0; i < object.size(); ++i) {
    const char c = object[i];
    if (c == '"') {
      const size_t start = i + 1;
      for (++i; i < object.size() && object[i] != '"'; ++i)
        if (object[i] == '\\') ++i;
      if (depth == 1 && expects_key) wanted = object.substr(start, i - start) == key;
    } else if (c == '{' || c == '[') {
      if (++depth == 1) expects_key = true;
    } else if (c == ':' && depth == 1 && expects_key) {
      expects_key = false;
      value_at = i + 1;
    } else if (c == '}' || c == ']' || c == ',') {
      if (depth == 1 && wanted && !expects_key) found = object.substr(value_at, i - value_at);
      if (depth == 1) expects_key = true;
      if (depth == 1) wanted = false;
      if (c != ',') --depth;
    }
  }
  const size_t first = found.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return found.substr(first, found.find_last_not_of(" \t\r\n") - first + 1);
}

}  // namespace lf::intake
