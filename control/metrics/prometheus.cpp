// SPDX-License-Identifier: Apache-2.0
#include "control/metrics/prometheus.hpp"

#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <string_view>

namespace lf::metrics {
namespace {

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::counter:
      return "counter";
    case Kind::summary:
      return "summary";
    case Kind::gauge:
      break;
  }
  return "gauge";
}

void append_escaped(std::string& out, std::string_view text, bool quotes) {
  for (const char c : text) {
    if (c == '\\')
      out += "\\\\";
    else if (c == '\n')
      out += "\\n";
    else if (c == '"' && quotes)
      out += "\\\"";
    else
      out += c;
  }
}

void append_value(std::string& out, const std::variant<uint64_t, double>& value) {
  auto to = std::back_inserter(out);
  if (const auto* whole = std::get_if<uint64_t>(&value))
    fmt::format_to(to, "{}", *whole);
  else if (const double number = std::get<double>(value); std::isnan(number))
    out += "NaN";
  else if (std::isinf(number))
    out += number > 0 ? "+Inf" : "-Inf";
  else
    fmt::format_to(to, "{}", number);
}

}  // namespace

std::string to_prometheus(const std::vector<Family>& families) {
  std::string out;
  for (const Family& family : families) {
    if (family.samples.empty()) continue;
    out += "# HELP " + family.name + ' ';
    append_escaped(out, family.help, false);
    fmt::format_to(std::back_inserter(out), "\n# TYPE {} {}\n", family.name,
                   kind_name(family.kind));
    for (const Sample& sample : family.samples) {
      out += family.name;
      out += sample.suffix;
      char separator = '{';
      for (const auto& [key, text] : sample.labels) {
        out += separator;
        out += key;
        out += "=\"";
        append_escaped(out, text, true);
        out += '"';
        separator = ',';
      }
      if (!sample.labels.empty()) out += '}';
      out += ' ';
      append_value(out, sample.value);
      out += '\n';
    }
  }
  return out;
}

}  // namespace lf::metrics
