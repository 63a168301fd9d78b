// SPDX-License-Identifier: Apache-2.0
#include "tests/support/plain_intake.hpp"

#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <tuple>

namespace lf::test {
namespace {

using Json = nlohmann::json;

constexpr size_t kLongest = 1 << 20;
constexpr int kDeepest = 64;

// The library's parser, but whole numbers outside int64 and uint64 are an error, not a float.
class Strict : public nlohmann::detail::json_sax_dom_parser<Json> {
 public:
  using json_sax_dom_parser::json_sax_dom_parser;
  bool number_float(double value, const std::string& text) {
    if (text.find_first_of(".eE") == std::string::npos) return false;
    return json_sax_dom_parser::number_float(value, text);
  }
};

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto byte = [&](size_t k) {
      return i + k < text.size() ? static_cast<uint8_t>(text[i + k]) : 0;
    };
    const int b = byte(0);
    const size_t size = b < 0x80                ? 1
                        : b >= 0xc2 && b < 0xe0 ? 2
                        : (b & 0xf0) == 0xe0    ? 3
                        : b >= 0xf0 && b < 0xf5 ? 4
                                                : 0;
    if (size == 0) return false;
    for (size_t k = 1; k < size; ++k)
      if ((byte(k) & 0xc0) != 0x80) return false;
    if (b == 0xe0 && byte(1) < 0xa0) return false;
    if (b == 0xed && byte(1) >= 0xa0) return false;
    if (b == 0xf0 && byte(1) < 0x90) return false;
    if (b == 0xf4 && byte(1) >= 0x90) return false;
    i += size;
  }
  return true;
}

int depth_of(std::string_view text) {
  int depth = 0, deepest = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i)
        if (text[i] == '\\') ++i;
    } else if (std::strchr("{[", text[i]) && text[i] != '\0') {
      deepest = std::max(deepest, ++depth);
    } else if (std::strchr("}]", text[i]) && text[i] != '\0') {
      depth = std::max(depth - 1, 0);
    }
  }
  return deepest;
}

// Nothing when it is JSON, else the message.
std::optional<std::string> parse(std::string_view row, Json& value) {
  if (row.size() > kLongest) return "longer than 1048576 bytes";
  Strict sax(value, false);
  const bool good = !row.starts_with("\xef\xbb\xbf") && Json::sax_parse(row, &sax);
  if (good && depth_of(row) <= kDeepest) return {};
  if (!is_utf8(row)) return "not UTF-8";
  if (depth_of(row) > kDeepest) return "nested more than 64 deep";
  return "not JSON";
}

std::vector<std::string> shape_messages(const Json& command) {
  std::vector<std::string> messages;
  std::string missing;
  for (const char* name :
       {"command_id", "deadline", "intent", "issued_by", "satellite_id", "signature", "trace_id"})
    if (!command.contains(name)) missing += (missing.empty() ? "" : ", ") + std::string(name);
  if (!missing.empty()) messages.push_back("missing required fields: " + missing);
  for (const char* name : {"intent", "signature", "command_id", "satellite_id"})
    if (command.contains(name) && !command[name].is_string())
      messages.push_back(std::string(name) + " must be a string");
  return messages;
}

struct Number {
  int value = 0;
  bool ok = false;
};
Number digits(std::string_view text, size_t at, size_t count) {
  Number n{0, at + count <= text.size()};
  for (size_t i = at; n.ok && i < at + count; ++i) {
    n.ok = text[i] >= '0' && text[i] <= '9';
    n.value = n.value * 10 + (text[i] - '0');
  }
  return n;
}

// Only the extended and the basic form with what docs/intake.md lists.
std::optional<int64_t> iso_us(std::string text) {
  const bool extended = text.size() > 4 && text[4] == '-';
  if (extended) {
    if (text.size() < 10 || text[7] != '-') return {};
    text = text.substr(0, 4) + text.substr(5, 2) + text.substr(8);
  }
  const auto year = digits(text, 0, 4), month = digits(text, 4, 2), day = digits(text, 6, 2);
  if (!year.ok || !month.ok || !day.ok || year.value == 0) return {};
  std::tm parts{};
  parts.tm_year = year.value - 1900;
  parts.tm_mon = month.value - 1;
  parts.tm_mday = day.value;
  const std::tm wanted = parts;
  int64_t seconds = timegm(&parts);
  if (parts.tm_mon != wanted.tm_mon || parts.tm_mday != wanted.tm_mday) return {};
  std::string rest = text.substr(8);
  if (rest.empty()) return seconds * 1'000'000;
  if (rest[0] != 'T' && rest[0] != 't' && rest[0] != ' ') return {};
  rest.erase(0, 1);
  int64_t us = 0;
  const int limits[] = {23, 59, 59}, factors[] = {3600, 60, 1};
  for (int k = 0; k < 3; ++k) {
    if (k > 0) {
      const bool more = extended ? rest.starts_with(':') : digits(rest, 0, 1).ok;
      if (!more) break;
      if (extended) rest.erase(0, 1);
    }
    const auto part = digits(rest, 0, 2);
    if (!part.ok || part.value > limits[k]) return {};
    seconds += part.value * factors[k];
    rest.erase(0, 2);
    if (k == 2 && (rest.starts_with('.') || rest.starts_with(','))) {
      size_t end = 1;
      while (digits(rest, end, 1).ok) ++end;
      if (end == 1) return {};
      us = std::stoi((rest.substr(1, std::min<size_t>(end - 1, 6)) + "000000").substr(0, 6));
      rest.erase(0, end);
    }
  }
  if (rest == "Z" || rest == "z") rest.clear();
  if (!rest.empty()) {
    if (rest[0] != '+' && rest[0] != '-') return {};
    const int sign = rest[0] == '-' ? -1 : 1;
    const auto hours = digits(rest, 1, 2);
    if (!hours.ok || hours.value > 23) return {};
    int offset = hours.value * 3600;
    rest.erase(0, 3);
    if (!rest.empty()) {
      if (rest[0] == ':') rest.erase(0, 1);
      const auto minutes = digits(rest, 0, 2);
      if (!minutes.ok || minutes.value > 59 || rest.size() != 2) return {};
      offset += minutes.value * 60;
    }
    seconds -= sign * offset;
  }
  return seconds * 1'000'000 + us;
}

// Nothing and a message, or the microseconds.
std::optional<int64_t> deadline_us(const Json& value, std::string& why) {
  constexpr int64_t kFirst = -62'135'596'800, kLast = 253'402'300'799;
  std::optional<int64_t> us;
  why = "out of range";
  if (value.is_string()) {
    us = iso_us(value.get<std::string>());
    if (!us) why = "not ISO 8601";
  } else if (value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(kLast)) {
    return {};
  } else if (value.is_number_integer()) {
    const auto seconds = value.get<int64_t>();
    if (seconds < kFirst || seconds > kLast) return {};
    us = seconds * 1'000'000;
  } else if (value.is_number_float()) {
    const double seconds = value.get<double>();
    if (!(seconds >= kFirst && seconds <= kLast)) return {};
    us = std::llround(seconds * 1e6);
  } else {
    why = "neither text nor a number";
  }
  if (us && (*us < kFirst * 1'000'000 || *us >= (kLast + 1) * 1'000'000)) return {};
  return us;
}

// What a row's duplicates have in common.
std::string org_of(const Json& command, const intake::OrgNames& orgs) {
  const Json org = command.value("org", Json());
  const std::string text = org.is_null()     ? ""
                           : org.is_string() ? org.get<std::string>()
                                             : org.dump();
  const uint32_t id = orgs.find(text);
  return id == intake::kUnknownOrg ? "?" + text : std::to_string(id);
}

}  // namespace

PlainBatch plain_intake(std::string_view text, const intake::OrgNames& orgs, int64_t now_us) {
  PlainBatch out;
  std::map<std::pair<std::string, std::string>, size_t> seen;
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view row = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (row.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string prefix = "row " + std::to_string(out.rows++) + ": ";
    Json command;
    if (const auto error = parse(row, command)) {
      out.errors.push_back(prefix + *error);
      continue;
    }
    if (!command.is_object()) {
      out.errors.push_back(prefix + "command must be object");
      continue;
    }
    const auto messages = shape_messages(command);
    for (const std::string& message : messages) out.errors.push_back(prefix + message);
    if (!messages.empty()) continue;
    std::string why;
    const auto deadline = deadline_us(command["deadline"], why);
    const auto is_no_object = [&](const char* name) {
      return command.contains(name) && !command[name].is_object();
    };
    const Json org = command.value("org", Json());
    std::string error;
    if (!deadline)
      error = "invalid deadline (" + why + ")";
    else if (is_no_object("annotations"))
      error = "annotations must be object";
    else if (is_no_object("payload"))
      error = "payload must be object";
    else if (*deadline < now_us)
      error = "deadline already expired";
    else if (!org.is_null() && !org.is_string() &&
             !(org.is_number_integer() && (org.is_number_unsigned() || org.get<int64_t>() >= 0)))
      error = "org must be a string or a number";
    if (!error.empty()) {
      out.errors.push_back(prefix + error);
      continue;
    }
    const auto id = command["command_id"].get<std::string>();
    if (!seen.emplace(std::pair(org_of(command, orgs), id), out.accepted.size()).second) {
      ++out.duplicates;
      continue;
    }
    out.accepted.push_back({*deadline, id, row});
  }
  std::stable_sort(out.accepted.begin(), out.accepted.end(), [](const auto& a, const auto& b) {
    return std::tie(a.deadline_us, a.command_id) < std::tie(b.deadline_us, b.command_id);
  });
  for (const auto& command : out.accepted) {
    const bool urgent = std::floor(static_cast<double>(command.deadline_us) / 1e6) <=
                        static_cast<double>(now_us) / 1e6 + 20 * 60;
    ++(urgent ? out.urgent : out.normal);
  }
  return out;
}

}  // namespace lf::test
