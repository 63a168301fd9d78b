// SPDX-License-Identifier: Apache-2.0
#include "tools/common/key_ring.hpp"

#include <fstream>

#include "tools/common/text.hpp"

namespace lf::tools {
namespace {

uint64_t place(uint32_t org, uint16_t key_id) {
  return uint64_t{org} << 16 | key_id;
}

}  // namespace

Result<KeySpec> parse_key_spec(std::string_view text) {
  const auto pieces = split(text, ':');
  if (pieces.size() < 2 || pieces.size() > 3)
    return fail(ErrorCode::invalid, "'{}' is not ORG:KEY_ID:HEX", text);
  const auto org = parse_number(pieces.front(), 0xffffffff);
  if (!org) return tl::unexpected(org.error());
  const auto bytes = parse_hex16(pieces.back());
  if (!bytes) return tl::unexpected(bytes.error());
  KeySpec spec{.org = static_cast<uint32_t>(*org), .bytes = *bytes};
  if (pieces.size() == 3) {
    const auto id = parse_number(pieces[1], 0xffff);
    if (!id) return tl::unexpected(id.error());
    spec.id = static_cast<uint16_t>(*id);
  }
  return spec;
}

Result<std::vector<KeySpec>> read_key_specs(std::istream& in, const std::string& path) {
  std::vector<KeySpec> specs;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    const std::string_view text = trim(std::string_view(line).substr(0, line.find('#')));
    if (text.empty()) continue;
    const auto spec = parse_key_spec(text);
    if (!spec) return fail(ErrorCode::invalid, "{}:{}: {}", path, number, spec.error().message);
    specs.push_back(*spec);
  }
  return specs;
}

Result<std::vector<KeySpec>> read_key_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) return fail(ErrorCode::unavailable, "{}: cannot be read", path);
  return read_key_specs(file, path);
}

Result<Keys> read_keys(const std::vector<std::string>& words, const std::string& file) {
  Keys keys;
  for (const std::string& text : words) {
    if (text.find(':') == text.npos) {
      const auto bytes = parse_hex16(text);
      if (!bytes) return tl::unexpected(bytes.error());
      keys.for_all = *bytes;
      continue;
    }
    const auto spec = parse_key_spec(text);
    if (!spec) return tl::unexpected(spec.error());
    keys.specs.push_back(*spec);
  }
  if (file.empty()) return keys;
  const auto specs = read_key_file(file);
  if (!specs) return tl::unexpected(specs.error());
  keys.specs.insert(keys.specs.end(), specs->begin(), specs->end());
  return keys;
}

void KeyRing::add(const KeySpec& spec) {
  signers_.insert_or_assign(place(spec.org, spec.id), lcp::Signer(spec.bytes));
  current_.emplace(spec.org, spec.id);
  if (!first_) first_ = spec;
}

const lcp::Signer* KeyRing::find(uint32_t org, uint16_t key_id) const {
  const auto it = signers_.find(place(org, key_id));
  return it == signers_.end() ? nullptr : &it->second;
}

std::optional<uint16_t> KeyRing::current(uint32_t org) const {
  const auto it = current_.find(org);
  return it == current_.end() ? std::nullopt : std::optional(it->second);
}

}  // namespace lf::tools
