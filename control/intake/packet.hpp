// SPDX-License-Identifier: Apache-2.0
// A JSON command as the frame that a client on the wire would have sent: LCP fields by way of the
// Directory, signed with the organisation's key. The frame comes from the IPv4 dummy address (RFC
// 7600) or the IPv6 discard prefix (RFC 6666) and UDP port 0: there is nobody to answer, and the
// pipeline hands answers to control instead. One maker a thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "control/intake/directory.hpp"
#include "dataplane/lcp/codec.hpp"
#include "dataplane/lcp/tag.hpp"

namespace lf::intake {

enum class Unsendable : uint8_t {
  none,
  no_organisation,  // the row names none, or one that is not configured
  no_key,           // the organisation has no key
  too_large,        // payload that does not fit the port
  no_service,
};
std::string_view name_of(Unsendable why);

struct Packet {
  Unsendable why_not = Unsendable::none;
  uint32_t org_id = 0;
  lcp::Id command_id{};
  uint8_t port = 0;  // DPDK port id that it comes in by
  std::vector<uint8_t> frame;
};

class PacketMaker {
 public:
  explicit PacketMaker(const Directory& directory);
  ~PacketMaker();

  // `row` is one that a batch took: JSON, followed by kPadding readable bytes.
  Packet make(std::string_view row);

 private:
  struct Parser;  // simdjson's header is not for everybody

  const Directory& directory_;
  std::unique_ptr<Parser> parser_;
  std::unordered_map<uint32_t, lcp::Signer> signers_;  // by organisation
};

// The text of a member's value as it stands in a JSON object; empty: not found. The last one
// counts.
std::string_view member_text(std::string_view object, std::string_view key);

}  // namespace lf::intake
