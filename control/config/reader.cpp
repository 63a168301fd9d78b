// SPDX-License-Identifier: Apache-2.0
#include "control/config/reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <unordered_set>

namespace lf::config {
namespace {

constexpr size_t kErrorsMax = 100;  // more only hide the first ones
constexpr size_t kQuotedMax = 60;   // characters of an offending value
constexpr size_t kNameMax = 63;

bool is_empty(const YAML::Node& node) {
  return !node.IsDefined() || node.IsNull();
}

std::string join(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, ", "));
}

// Control characters made visible: yaml-cpp's messages and keys may have any, and an error is a line.
std::string on_one_line(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f)
      out += fmt::format("\\x{:02x}", byte);
    else
      out += c;
  }
  return out;
}

}  // namespace

std::string_view kind_of(const YAML::Node& node) {
  if (node.IsMap()) return "a map";
  if (node.IsSequence()) return "a list";
  if (node.IsScalar()) return "a single value";
  return "nothing";
}

std::string quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, kQuotedMax)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f)
      out += fmt::format("\\x{:02x}", byte);
    else
      out += c;
  }
  out += text.size() > kQuotedMax ? "…\"" : "\"";
  return out;
}

bool is_name(std::string_view text) {
  if (text.empty() || text.size() > kNameMax) return false;
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '-' || c == '_' || c == '.';
  });
}

// ---- Context

void Context::error(const YAML::Mark& mark, std::string_view key, std::string_view text) {
  if (errors_.size() >= kErrorsMax) {
    ++left_out_;
    return;
  }
  const bool known = !mark.is_null();
  errors_.push_back({ErrorCode::invalid,
                     fmt::format("{}:{}:{}: {}", file_, known ? mark.line + 1 : 1,
                                 known ? mark.column + 1 : 1,
                                 on_one_line(fmt::format("{}{}{}", key, key.empty() ? "" : ": ",
                                                         text)))});
}

void Context::error_at(std::string key, std::string_view text) {
  const std::string full = key;
  while (true) {
    const auto found = marks_.find(key);
    if (found != marks_.end() || key.empty())
      return error(found != marks_.end() ? found->second : YAML::Mark::null_mark(), full, text);
    const size_t cut = key.find_last_of(".[");
    key.resize(cut == std::string::npos ? 0 : cut);
  }
}

void Context::describe(KeyInfo key) {
  if (schema == nullptr) return;
  std::string general;  // services[3].name -> services[].name
  bool inside = false;
  for (const char c : key.path) {
    if (c == ']') inside = false;
    if (!inside) general += c;
    if (c == '[') inside = true;
  }
  key.path = std::move(general);
  for (KeyInfo& known : *schema) {
    if (known.path != key.path) continue;
    known.given |= key.given;
    return;
  }
  schema->push_back(std::move(key));
}

std::vector<Error> Context::take_errors() {
  if (left_out_ > 0) {
    errors_.push_back({ErrorCode::invalid,
                       fmt::format("{}:1:1: {} more mistakes are not shown", file_, left_out_)});
    left_out_ = 0;
  }
  return std::move(errors_);
}

// ---- Map

Map::Map(Context& context, const YAML::Node& node, std::string path)
    : context_(context), path_(std::move(path)) {
  if (is_empty(node)) return;  // "ports:" with nothing after it
  mark_ = node.Mark();
  if (!path_.empty()) context_.remember(path_, mark_);
  if (!node.IsMap()) {
    is_map_ = false;
    context_.error(mark_, path_, fmt::format("must be a map, not {}", kind_of(node)));
    return;
  }
  std::unordered_set<std::string> seen;
  for (const auto& pair : node) {
    if (!pair.first.IsScalar()) {
      context_.error(pair.first.Mark(), path_, "a key must be a single word");
      continue;
    }
    const std::string& key = pair.first.Scalar();
    if (!seen.insert(key).second) {
      context_.error(pair.first.Mark(), path_of(key), "is given twice");
      continue;
    }
    entries_.push_back({key, pair.first.Mark(), pair.second});
  }
}

std::string Map::path_of(std::string_view key) const {
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

Map::Entry* Map::find(std::string_view key) {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [key](const Entry& e) { return e.key == key; });
  return found == entries_.end() ? nullptr : &*found;
}

bool Map::has(std::string_view key) const {
  return const_cast<Map*>(this)->find(key) != nullptr;
}

void Map::require(std::initializer_list<std::string_view> keys) {
  required_.insert(required_.end(), keys.begin(), keys.end());
  if (!is_map_) return;
  for (const auto key : keys)
    if (!has(key)) context_.error(mark_, path_of(key), "is missing");
}

void Map::error(std::string_view key, std::string_view text) {
  context_.error_at(path_of(key), text);
}

void Map::complain(std::string_view key, std::string_view given, std::string_view why) {
  error(key, fmt::format("{} {}", quote(given), why));
}

YAML::Node Map::child(std::string_view key, std::string type) {
  known_.emplace_back(key);
  if (!type.empty()) describe(key, std::move(type), "");
  Entry* entry = find(key);
  if (entry == nullptr) return YAML::Node(YAML::NodeType::Undefined);
  entry->asked = true;
  context_.remember(path_of(key), is_empty(entry->value) ? entry->mark : entry->value.Mark());
  return entry->value;
}

void Map::describe(std::string_view key, std::string type, std::string fallback) {
  if (context_.schema == nullptr) return;
  const bool required = std::find(required_.begin(), required_.end(), key) != required_.end();
  context_.describe(
      {path_of(key), std::move(type), required ? "required" : std::move(fallback), has(key)});
}

std::optional<std::string> Map::scalar_of(const YAML::Node& node, const std::string& path) {
  if (!node.IsDefined()) return std::nullopt;
  if (node.IsScalar()) return node.Scalar();
  context_.error_at(path, node.IsNull()
                              ? "has no value"
                              : fmt::format("must be a single value, not {}", kind_of(node)));
  return std::nullopt;
}

std::optional<std::string> Map::scalar(std::string_view key, std::string type,
                                       std::string fallback) {
  describe(key, std::move(type), std::move(fallback));
  return scalar_of(child(key, ""), path_of(key));
}

void Map::boolean(std::string_view key, bool& out) {
  value(key, out, "boolean", out ? "true" : "false", parse_bool);
}

void Map::number(std::string_view key, double& out, double min, double max) {
  const auto given = scalar(key, fmt::format("number {}..{}", min, max), fmt::format("{}", out));
  if (!given) return;
  const auto parsed = parse_number(*given);
  if (!parsed) return complain(key, *given, parsed.error());
  if (*parsed < min || *parsed > max)
    return complain(key, *given, fmt::format("is outside {}..{}", min, max));
  out = *parsed;
}

void Map::read_integer(std::string_view key, uint64_t& out, uint64_t min, uint64_t max) {
  const auto given = scalar(key, fmt::format("integer {}..{}", min, max), fmt::format("{}", out));
  if (!given) return;
  const auto parsed = parse_integer(*given);
  if (!parsed) return complain(key, *given, parsed.error());
  if (*parsed < 0 || static_cast<uint64_t>(*parsed) < min || static_cast<uint64_t>(*parsed) > max)
    return complain(key, *given, fmt::format("is outside {}..{}", min, max));
  out = static_cast<uint64_t>(*parsed);
}

void Map::read_duration(std::string_view key, uint64_t& out, uint64_t unit_us, uint64_t min,
                        uint64_t max) {
  const std::string range =
      fmt::format("{}..{}", format_duration_us(min * unit_us), format_duration_us(max * unit_us));
  const auto given = scalar(key, "duration " + range, format_duration_us(out * unit_us));
  if (!given) return;
  const auto us = parse_duration_us(*given);
  if (!us) return complain(key, *given, us.error());
  if (*us < min * unit_us || *us > max * unit_us)
    return complain(key, *given, "is outside " + range);
  if (*us % unit_us != 0)
    return complain(key, *given,
                    fmt::format("is not a multiple of {}", format_duration_us(unit_us)));
  out = *us / unit_us;
}

void Map::read_size(std::string_view key, uint64_t& out, uint64_t unit, uint64_t min,
                    uint64_t max) {
  const std::string range = fmt::format("{}..{}", format_size(min * unit), format_size(max * unit));
  const auto given = scalar(key, "size " + range, format_size(out * unit));
  if (!given) return;
  const auto bytes = parse_size(*given);
  if (!bytes) return complain(key, *given, bytes.error());
  if (*bytes < min * unit || *bytes > max * unit)
    return complain(key, *given, "is outside " + range);
  if (*bytes % unit != 0)
    return complain(key, *given, fmt::format("is not a multiple of {}", format_size(unit)));
  out = *bytes / unit;
}

size_t Map::read_choice(std::string_view key, const std::vector<std::string>& known,
                        size_t chosen) {
  const auto given = scalar(key, "one of " + join(known), known[chosen]);
  if (!given) return chosen;
  const auto found = std::find(known.begin(), known.end(), *given);
  if (found != known.end()) return static_cast<size_t>(found - known.begin());
  const std::string meant = did_you_mean(*given, known);
  complain(key, *given,
           fmt::format("is none of {}{}", join(known),
                       meant.empty() ? "" : fmt::format("; did you mean {}?", meant)));
  return chosen;
}

void Map::text(std::string_view key, std::string& out) {
  value(key, out, "text", out, [](const std::string& given) -> Parsed<std::string> {
    if (given.empty()) return tl::unexpected<std::string>("must not be empty");
    if (given.find('\0') != std::string::npos)
      return tl::unexpected<std::string>("must not contain a NUL byte");
    return given;
  });
}

void Map::name(std::string_view key, std::string& out) {
  value(key, out, "name", out, [](const std::string& given) -> Parsed<std::string> {
    if (is_name(given)) return given;
    return tl::unexpected(
        fmt::format("is not a name: 1 to {} letters, digits, '-', '_' or '.'", kNameMax));
  });
}

void Map::text_or_off(std::string_view key, std::string& out) {
  value(key, out, "text, or off", out.empty() ? "off" : out,
        [](const std::string& given) -> Parsed<std::string> {
          if (given.empty()) return tl::unexpected<std::string>("must not be empty; write off");
          if (given.find('\0') != std::string::npos)
            return tl::unexpected<std::string>("must not contain a NUL byte");
          return given == "off" ? std::string() : given;
        });
}

void Map::rate(std::string_view key, int64_t& out_per_minute) {
  value(key, out_per_minute, "rate", format_rate(out_per_minute), parse_rate_per_minute);
}

void Map::address(std::string_view key, IpAddress& out, uint8_t& ip_version) {
  const auto given = scalar(key, "IP address", "");
  if (!given) return;
  const auto parsed = parse_address(*given);
  if (!parsed) return complain(key, *given, "is not an IPv4 or IPv6 address");
  out = parsed->address;
  ip_version = parsed->ip_version;
}

void Map::texts(std::string_view key, std::vector<std::string>& out) {
  std::vector<std::string> given;
  each(
      key,
      [&](const YAML::Node& node, const std::string& path) {
        if (auto text = scalar_of(node, path)) given.push_back(std::move(*text));
      },
      "list of texts");
  if (has(key)) out = std::move(given);
}

void Map::names(std::string_view key, std::vector<std::string>& out) {
  std::vector<std::string> given;
  each(
      key,
      [&](const YAML::Node& node, const std::string& path) {
        auto text = scalar_of(node, path);
        if (!text) return;
        if (!is_name(*text)) return context_.error_at(path, quote(*text) + " is not a name");
        if (std::find(given.begin(), given.end(), *text) != given.end())
          return context_.error_at(path, quote(*text) + " is listed twice");
        given.push_back(std::move(*text));
      },
      "list of names");
  if (has(key)) out = std::move(given);
}

void Map::prefixes(std::string_view key, std::vector<Prefix>& out) {
  each(
      key,
      [&](const YAML::Node& node, const std::string& path) {
        const auto text = scalar_of(node, path);
        if (!text) return;
        const auto prefix = parse_prefix(*text);
        if (!prefix) return context_.error_at(path, quote(*text) + " " + prefix.error());
        out.push_back(*prefix);
      },
      "list of prefixes");
}

void Map::each(std::string_view key,
               const std::function<void(const YAML::Node&, std::string)>& read, std::string type) {
  const YAML::Node list = child(key, std::move(type));
  if (is_empty(list)) return;
  if (!list.IsSequence()) return error(key, fmt::format("must be a list, not {}", kind_of(list)));
  size_t index = 0;
  for (const auto& item : list) {
    std::string path = fmt::format("{}[{}]", path_of(key), index++);
    context_.remember(path, item.Mark());
    read(item, std::move(path));
  }
}

void Map::pairs(std::string_view key,
                const std::function<void(const std::string&, const YAML::Node&, std::string)>& read,
                std::string type) {
  const YAML::Node node = child(key, std::move(type));
  if (is_empty(node)) return;
  Map inner(context_, node, path_of(key));
  for (Entry& entry : inner.entries_) {
    std::string path = fmt::format("{}[{}]", inner.path_, entry.key);
    context_.remember(path, is_empty(entry.value) ? entry.mark : entry.value.Mark());
    read(entry.key, entry.value, std::move(path));
  }
}

void Map::finish() {
  for (const Entry& entry : entries_) {
    if (entry.asked) continue;
    const std::string meant = did_you_mean(entry.key, known_);
    context_.error(entry.mark, path_of(entry.key),
                   meant.empty() ? fmt::format("is not a known key; known are {}", join(known_))
                                 : fmt::format("is not a known key; did you mean {}?", meant));
  }
}

}  // namespace lf::config
