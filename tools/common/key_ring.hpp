// SPDX-License-Identifier: Apache-2.0
// The keys that a reference client or node knows, by organisation and key id.
#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "control/base/result.hpp"
#include "dataplane/lcp/tag.hpp"

namespace lf::tools {

struct KeySpec {
  uint32_t org = 0;
  uint16_t id = 1;
  lcp::KeyBytes bytes{};
};

// "1:7:000102…": organisation, key id, 32 hexadecimal digits; "1:000102…": key id 1.
Result<KeySpec> parse_key_spec(std::string_view text);

// One specification a line; # starts a comment. `path` is for messages.
Result<std::vector<KeySpec>> read_key_specs(std::istream& in, const std::string& path);

// What --key and --key-file of a client say: keys of organisations, and 32 digits alone, which sign
// for every organisation.
struct Keys {
  std::optional<lcp::KeyBytes> for_all;
  std::vector<KeySpec> specs;
};
Result<Keys> read_keys(const std::vector<std::string>& words, const std::string& file);
// Of a file alone.
Result<std::vector<KeySpec>> read_key_file(const std::string& path);

class KeyRing {
 public:
  void add(const KeySpec& spec);
  bool empty() const { return signers_.empty(); }
  // Null when the key is not known.
  const lcp::Signer* find(uint32_t org, uint16_t key_id) const;
  // The first key that was added, and the first one of an organisation.
  const std::optional<KeySpec>& first() const { return first_; }
  std::optional<uint16_t> current(uint32_t org) const;

 private:
  std::unordered_map<uint64_t, lcp::Signer> signers_;
  std::unordered_map<uint32_t, uint16_t> current_;
  std::optional<KeySpec> first_;
};

}  // namespace lf::tools
