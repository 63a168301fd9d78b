// SPDX-License-Identifier: Apache-2.0
// Large operator and target tables from CSV (a million lines a second) or YAML files.
#include <yaml-cpp/yaml.h>

#include <charconv>
#include <fstream>
#include <functional>
#include <map>
#include <string_view>

#include "control/identity/store.hpp"

namespace lf::identity {
namespace {

using Fields = std::map<std::string, std::string, std::less<>>;
using TakeRow = std::function<Result<void>(const Fields&)>;

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    if (end > 0) parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

// Splits a CSV line; quotes are not part of this format, since no value needs them.
std::vector<std::string> csv_cells(std::string_view line) {
  std::vector<std::string> cells;
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  for (;;) {
    const size_t comma = line.find(',');
    cells.emplace_back(line.substr(0, comma));
    if (comma == line.npos) return cells;
    line.remove_prefix(comma + 1);
  }
}

Result<void> read_csv(const std::string& path, const TakeRow& take) {
  std::ifstream file(path);
  if (!file) return fail(ErrorCode::unavailable, "{}: cannot be read", path);
  std::string line;
  std::getline(file, line);
  const std::vector<std::string> header = csv_cells(line);
  for (size_t number = 2; std::getline(file, line); ++number) {
    if (line.empty() || line[0] == '#') continue;
    const std::vector<std::string> cells = csv_cells(line);
    if (cells.size() != header.size())
      return fail(ErrorCode::invalid, "{}:{}:1: {} cells, the header has {}", path, number,
                  cells.size(), header.size());
    Fields fields;
    for (size_t i = 0; i < cells.size(); ++i) fields[header[i]] = cells[i];
    if (auto taken = take(fields); !taken)
      return fail(taken.error().code, "{}:{}:1: {}", path, number, taken.error().message);
  }
  return {};
}

std::string joined(const YAML::Node& value) {
  if (value.IsScalar()) return value.Scalar();
  std::string text;
  for (const YAML::Node& item : value) text += (text.empty() ? "" : ";") + item.as<std::string>();
  return text;
}

Result<void> read_yaml(const std::string& path, const TakeRow& take) {
  try {
    for (const YAML::Node& row : YAML::LoadFile(path)) {
      Fields fields;
      for (const auto& entry : row) fields[entry.first.as<std::string>()] = joined(entry.second);
      if (auto taken = take(fields); !taken)
        return fail(taken.error().code, "{}:{}:{}: {}", path, row.Mark().line + 1,
                    row.Mark().column + 1, taken.error().message);
    }
    return {};
  } catch (const YAML::BadFile&) {
    return fail(ErrorCode::unavailable, "{}: cannot be read", path);
  } catch (const YAML::Exception& e) {
    return fail(ErrorCode::invalid, "{}:{}:{}: {}", path, e.mark.line + 1, e.mark.column + 1,
                e.msg);
  }
}

Result<void> read_rows(const std::string& path, const TakeRow& take) {
  return path.ends_with(".csv") ? read_csv(path, take) : read_yaml(path, take);
}

template <typename T>
Result<void> number(const Fields& fields, std::string_view key, T& out, bool required = false) {
  const auto it = fields.find(key);
  if (it == fields.end() || it->second.empty()) {
    if (required) return fail(ErrorCode::invalid, "{} is missing", key);
    return {};
  }
  const char* end = it->second.data() + it->second.size();
  const auto parsed = std::from_chars(it->second.data(), end, out);
  if (parsed.ec != std::errc() || parsed.ptr != end)
    return fail(ErrorCode::invalid, "{}: '{}' is not a number that fits", key, it->second);
  return {};
}

std::string_view text(const Fields& fields, std::string_view key) {
  const auto it = fields.find(key);
  return it == fields.end() ? std::string_view{} : std::string_view(it->second);
}

Result<void> known_columns(const Fields& fields, std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : fields)
    if (std::find(known.begin(), known.end(), key) == known.end())
      return fail(ErrorCode::invalid, "unknown column '{}'", key);
  return {};
}

}  // namespace

Result<std::vector<config::Operator>> read_operators(const std::string& path) {
  std::vector<config::Operator> operators;
  const auto read = read_rows(path, [&](const Fields& f) -> Result<void> {
    config::Operator o;
    int64_t expires_s = 0;
    const auto good =
        known_columns(f, {"id", "name", "roles", "mfa_level", "mfa_expires", "organisations"})
            .and_then([&] { return number(f, "id", o.id, true); })
            .and_then([&] { return number(f, "mfa_level", o.mfa_level); })
            .and_then([&] { return number(f, "mfa_expires", expires_s); });
    if (!good) return good;
    o.name = text(f, "name");
    o.mfa_expires_us = expires_s * 1'000'000;
    o.roles = split(text(f, "roles"), ';');
    o.organisations = split(text(f, "organisations"), ';');
    operators.push_back(std::move(o));
    return {};
  });
  if (!read) return tl::unexpected(read.error());
  return operators;
}

Result<std::vector<config::Target>> read_targets(const std::string& path) {
  std::vector<config::Target> targets;
  const auto read = read_rows(path, [&](const Fields& f) -> Result<void> {
    config::Target t;
    const auto good = known_columns(f, {"id", "risk", "group", "comms_degraded"})
                          .and_then([&] { return number(f, "id", t.id, true); })
                          .and_then([&] { return number(f, "risk", t.risk); });
    if (!good) return good;
    const std::string_view comms = text(f, "comms_degraded");
    if (!comms.empty() && comms != "true" && comms != "false")
      return fail(ErrorCode::invalid, "comms_degraded: '{}' is neither true nor false", comms);
    t.group = text(f, "group");
    t.comms_degraded = comms == "true";
    targets.push_back(std::move(t));
    return {};
  });
  if (!read) return tl::unexpected(read.error());
  return targets;
}

}  // namespace lf::identity
