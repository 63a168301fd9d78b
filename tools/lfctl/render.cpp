// SPDX-License-Identifier: Apache-2.0
#include "tools/lfctl/render.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>

#include "tools/lfctl/intake.hpp"
#include "tools/lfctl/table.hpp"
#include "tools/lfctl/views.hpp"

namespace lf::ctl {
namespace {

constexpr size_t kCellMax = 60;  // longer values are cut in a generic table

std::string number_text(const Json& value) {
  if (value.is_number_float()) {
    const double number = value.get<double>();
    return number == std::floor(number) && std::abs(number) < 1e15 ? fmt::format("{:.0f}", number)
                                                                   : fmt::format("{:.6g}", number);
  }
  return value.dump();
}

// A value on one line.
std::string inline_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_null()) return "-";
  if (value.is_number()) return number_text(value);
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_array()) {
    std::string out;
    for (const Json& item : value) out += (out.empty() ? "" : ", ") + inline_text(item);
    return out.empty() ? "none" : out;
  }
  std::string out;
  for (const auto& [key, item] : value.items())
    out += (out.empty() ? "" : " ") + key + "=" + inline_text(item);
  return out;
}

// Keys in _us hold durations and points in time; what is this large is a point in time.
constexpr int64_t kTimeUsMin = 1'000'000'000'000'000;  // September 2001

std::string value_text(const std::string& key, const Json& value) {
  if (!key.ends_with("_us") || !value.is_number_integer() || value.get<int64_t>() < kTimeUsMin)
    return inline_text(value);
  const std::time_t seconds = value.get<int64_t>() / 1'000'000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%FT%TZ", &parts);
  return text;
}

bool is_table(const Json& value) {
  return value.is_array() && !value.empty() &&
         std::all_of(value.begin(), value.end(), [](const Json& row) { return row.is_object(); });
}

std::string table_text(const Json& rows, const Style& style) {
  std::vector<std::string> keys;
  for (const Json& row : rows)
    for (const auto& [key, value] : row.items())
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  Table table(keys);
  for (const Json& row : rows) {
    std::vector<Cell> cells;
    for (const std::string& key : keys) {
      const auto found = row.find(key);
      std::string text = found == row.end() ? "" : value_text(key, *found);
      std::replace(text.begin(), text.end(), '\n', ' ');
      if (text.size() > kCellMax && keys.size() > 2) text = text.substr(0, kCellMax - 1) + "…";
      cells.push_back({std::move(text), Colour::none, found != row.end() && found->is_number()});
    }
    table.add(std::move(cells));
  }
  return table.to_text(style.colours);
}

void append_object(std::string& out, const Json& object, const Style& style) {
  size_t width = 0;
  for (const auto& [key, value] : object.items()) width = std::max(width, key.size());
  for (const auto& [key, value] : object.items()) {
    if (is_table(value)) {
      out += "\n" + painted(key, Colour::bold, style.colours) + "\n" + table_text(value, style);
      continue;
    }
    const std::string text = value_text(key, value);
    if (text.find('\n') != std::string::npos)
      out += key + ":\n" + text + (text.ends_with('\n') ? "" : "\n");
    else
      out += fmt::format("{:<{}}  {}\n", key, width, text);
  }
}

}  // namespace

std::string render_generic(const Json& result, const Style& style) {
  if (is_table(result)) return table_text(result, style);
  if (result.is_object() && result.size() == 1 && is_table(result.begin().value()))
    return table_text(result.begin().value(), style);
  std::string out;
  if (result.is_object() && !result.empty())
    append_object(out, result, style);
  else if (result.is_object() || result.is_null())
    out = "ok\n";
  else
    out = inline_text(result) + "\n";
  return out;
}

std::string render(const std::string& method, const Json& result, const Style& style,
                   const std::optional<Previous>& previous) {
  try {
    if (method == "metrics" && result.contains("text")) return result["text"].get<std::string>();
    if (method == "nodes.list") return nodes_view(result, style);
    if (method == "breakers.list") return breakers_view(result, style);
    if (method == "quota.top" || method == "quota.status") return quota_view(result, style);
    if (method == "stats" && result.contains("stages")) return latency_view(result, style);
    if (method == "stats") return stats_view(result, style, previous);
    if (method == "route.explain") return explain_view(result, style);
    if (method == kSubmitMethod) return submit_view(result);
    if (method == "help") return help_view(result, style);
    if (method == "policy.check") return check_view(result, style);
    if (method == "policy.diff") return diff_view(result);
  } catch (const Json::exception&) {
    // Not the shape that the view was made for: a newer daemon. Shown all the same.
  }
  return render_generic(result, style);
}

}  // namespace lf::ctl
