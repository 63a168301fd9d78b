// SPDX-License-Identifier: Apache-2.0
// Section `organisations`: who may send, with which keys, how much. Key material never appears in
// a message.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "control/config/sections.hpp"

namespace lf::config {
namespace {

constexpr std::string_view kFilePrefix = "file:";
constexpr std::streamsize kKeyFileMax = 256;

Parsed<std::array<uint8_t, 16>> key_from_file(const Context& context, std::string_view name) {
  std::filesystem::path path(name);
  if (path.is_relative()) path = std::filesystem::path(context.file()).parent_path() / path;
  std::ifstream file(path, std::ios::binary);
  char buffer[kKeyFileMax];
  file.read(buffer, kKeyFileMax);
  if (file.bad() || (file.gcount() == 0 && !file.eof()))
    return tl::unexpected(fmt::format("cannot read the key file {}", quote(name)));
  std::string_view text(buffer, static_cast<size_t>(file.gcount()));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
    text.remove_suffix(1);
  auto key = parse_key(text);
  if (!key) return tl::unexpected(fmt::format("key file {} {}", quote(name), key.error()));
  return key;
}

void read_key(Context& context, const std::string& id, const YAML::Node& node,
              const std::string& path, std::vector<Key>& out) {
  const auto number = parse_integer(id);
  if (!number || *number < 0 || *number > 65535)
    return context.error_at(path, quote(id) + " is not a key id in 0..65535");
  if (!node.IsScalar()) return context.error_at(path, "must be 32 hexadecimal digits or file:PATH");
  const std::string& text = node.Scalar();
  const auto key = text.starts_with(kFilePrefix)
                       ? key_from_file(context, std::string_view(text).substr(kFilePrefix.size()))
                       : parse_key(text);
  if (!key)
    return context.error_at(path, (text.starts_with(kFilePrefix) ? "" : "the key ") + key.error());
  for (const Key& other : out)
    if (other.id == *number)
      return context.error_at(path, quote(id) + " is the id of another key already");
  out.push_back({static_cast<uint16_t>(*number), *key});
}

}  // namespace

void read_quota(Context& context, const YAML::Node& node, const std::string& path, Quota& out) {
  if (!node.IsDefined() || node.IsNull()) return;
  if (node.IsScalar()) {
    const auto rate = parse_rate_per_minute(node.Scalar());
    if (!rate) return context.error_at(path, quote(node.Scalar()) + " " + rate.error());
    out = Quota{*rate, false};
    return;
  }
  Map inner(context, node, path);
  inner.rate("limit", out.per_minute);
  inner.boolean("hard", out.hard);
  inner.finish();
}

void read_quota(Context& context, Map& map, std::string_view key, Quota& out) {
  read_quota(context, map.child(key, "rate, or map"), map.path_of(key), out);
}

void read_organisation(Context& context, const YAML::Node& node, std::string path,
                       Organisation& out) {
  Map map(context, node, std::move(path));
  map.require({"name", "id"});
  map.name("name", out.name);
  map.integer("id", out.id, 1, UINT32_MAX);
  map.pairs(
      "keys",
      [&](const std::string& id, const YAML::Node& value, const std::string& key_path) {
        read_key(context, id, value, key_path, out.keys);
      },
      "map of key id to key");
  if (out.keys.size() > 2)
    map.error("keys", fmt::format("has {} keys; at most 2 may be live", out.keys.size()));
  read_quota(context, map, "quota", out.quota);
  map.pairs(
      "intents",
      [&](const std::string& intent, const YAML::Node& value, const std::string& intent_path) {
        read_quota(context, value, intent_path, out.intents[intent]);
      },
      "map of intent to quota");
  map.prefixes("prefixes", out.prefixes);
  map.finish();
}

}  // namespace lf::config
