// SPDX-License-Identifier: Apache-2.0
#include "tools/lfctl/arguments.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <memory>

namespace lf::ctl {
namespace {

bool has_type(const std::string& types, std::string_view type) {
  std::string_view rest = types;
  while (true) {
    const size_t bar = rest.find('|');
    if (rest.substr(0, bar) == type) return true;
    if (bar == std::string_view::npos) return false;
    rest.remove_prefix(bar + 1);
  }
}

template <typename T>
bool parse_number(const std::string& word, T& out) {
  const char* end = word.data() + word.size();
  const auto [rest, error] = std::from_chars(word.data(), end, out);
  return error == std::errc{} && rest == end;
}

tl::expected<Json, std::string> array_from(const std::string& word) {
  if (word.starts_with('[')) {
    Json list = Json::parse(word, nullptr, false);
    if (!list.is_array()) return tl::unexpected<std::string>("is not a JSON array");
    return list;
  }
  Json list = Json::array();
  size_t start = 0;
  while (!word.empty()) {
    const size_t comma = word.find(',', start);
    const std::string item = word.substr(start, comma - start);
    double number = 0;
    int64_t whole = 0;
    if (parse_number(item, whole))
      list.push_back(whole);
    else if (parse_number(item, number))
      list.push_back(number);
    else
      list.push_back(item);
    if (comma == std::string::npos) break;
    start = comma + 1;
  }
  return list;
}

// What a word looks like, where the type leaves it open.
Json guessed(const std::string& word) {
  const Json value = Json::parse(word, nullptr, false);
  return value.is_discarded() ? Json(word) : value;
}

}  // namespace

std::vector<MethodInfo> methods_from(const Json& description) {
  std::vector<MethodInfo> methods;
  for (const Json& m : description) {
    MethodInfo& method = methods.emplace_back();
    method.name = m.value("name", "");
    method.help = m.value("help", "");
    method.mutates = m.value("mutates", false);
    for (const Json& p : m.value("parameters", Json::array()))
      method.parameters.push_back({p.value("name", ""), p.value("type", "any"), p.value("help", ""),
                                   p.value("required", false)});
  }
  return methods;
}

tl::expected<Json, std::string> value_from(const std::string& word, const std::string& type) {
  if (word.starts_with('@') && (has_type(type, "string") || has_type(type, "any"))) {
    auto content = read_all(word.substr(1));
    if (!content) return tl::unexpected(content.error());
    return Json(std::move(*content));
  }
  int64_t whole = 0;
  if (has_type(type, "integer") && parse_number(word, whole)) return Json(whole);
  double number = 0;
  if (has_type(type, "number") && parse_number(word, number)) {
    if (parse_number(word, whole)) return Json(whole);
    return Json(number);
  }
  if (has_type(type, "boolean")) {
    if (word == "true" || word == "yes" || word == "on") return Json(true);
    if (word == "false" || word == "no" || word == "off") return Json(false);
  }
  if (has_type(type, "object") && word.starts_with('{')) {
    Json object = Json::parse(word, nullptr, false);
    if (object.is_object()) return object;
  }
  if (has_type(type, "array")) return array_from(word);
  if (has_type(type, "string")) return Json(word);
  if (has_type(type, "any")) return guessed(word);
  return tl::unexpected(fmt::format("is not of type {}", type));
}

tl::expected<std::string, std::string> read_all(const std::string& path) {
  const bool standard = path == "-";
  const std::unique_ptr<FILE, int (*)(FILE*)> file(
      standard ? stdin : std::fopen(path.c_str(), "rb"),
      standard ? [](FILE*) { return 0; } : [](FILE* f) { return std::fclose(f); });
  if (file == nullptr) return tl::unexpected(fmt::format("cannot open {}", path));
  std::string content;
  char buffer[65536];
  while (const size_t n = std::fread(buffer, 1, sizeof buffer, file.get()))
    content.append(buffer, n);
  if (std::ferror(file.get()) != 0) return tl::unexpected(fmt::format("cannot read {}", path));
  return content;
}

tl::expected<Json, std::string> parameters_from(const std::vector<std::string>& words) {
  if (words.empty()) return Json::object();
  if (words.size() == 1 && (words[0].starts_with('{') || words[0].starts_with('['))) {
    Json params = Json::parse(words[0], nullptr, false);
    if (params.is_discarded()) return tl::unexpected<std::string>("parameters are not valid JSON");
    return params;
  }
  Json params = Json::object();
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    if (equals == 0 || equals == std::string::npos)
      return tl::unexpected(
          fmt::format("\"{}\" is neither a JSON object nor of the form key=value", word));
    auto value = value_from(word.substr(equals + 1), "any");
    if (!value) return tl::unexpected(value.error());
    params[word.substr(0, equals)] = std::move(*value);
  }
  return params;
}

}  // namespace lf::ctl
