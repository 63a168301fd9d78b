// SPDX-License-Identifier: Apache-2.0
// Reads YAML maps key by key into typed values and collects every mistake with its file, line and
// column. The readers of the sections (sections.hpp) are written with it; nothing else is. Keys
// that nobody asked for are mistakes, so a reader's calls are the list of what is allowed.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "control/base/result.hpp"
#include "control/config/values.hpp"

namespace lf::config {

// One key that the loader knows, as docs/configuration.md must describe it.
struct KeyInfo {
  std::string path;      // services[].probe.interval
  std::string type;      // "duration 10ms..1h"
  std::string fallback;  // the default as text, or "required"
  bool given = false;    // the text that was read has it
};

// What all readers of one file share.
class Context {
 public:
  explicit Context(std::string file) : file_(std::move(file)) {}

  const std::string& file() const { return file_; }
  // "file:line:column: key: text".
  void error(const YAML::Mark& mark, std::string_view key, std::string_view text);
  // The same for a key that was read, or for the nearest enclosing one that was.
  void error_at(std::string key, std::string_view text);

  void remember(std::string key, const YAML::Mark& mark) { marks_[std::move(key)] = mark; }
  bool was_given(const std::string& key) const { return marks_.contains(key); }
  void describe(KeyInfo key);

  bool ok() const { return errors_.empty() && left_out_ == 0; }
  std::vector<Error> take_errors();
  std::vector<KeyInfo>* schema = nullptr;  // collects what readers ask for, when set

 private:
  std::string file_;
  std::vector<Error> errors_;
  size_t left_out_ = 0;
  std::unordered_map<std::string, YAML::Mark> marks_;
};

// One YAML map. finish() reports what was not asked for.
class Map {
 public:
  Map(Context& context, const YAML::Node& node, std::string path);

  const std::string& path() const { return path_; }
  std::string path_of(std::string_view key) const;
  bool has(std::string_view key) const;
  void require(std::initializer_list<std::string_view> keys);
  void error(std::string_view key, std::string_view text);

  void boolean(std::string_view key, bool& out);
  void number(std::string_view key, double& out, double min, double max);
  void text(std::string_view key, std::string& out);         // not empty
  void name(std::string_view key, std::string& out);         // letters, digits, "-_."
  void text_or_off(std::string_view key, std::string& out);  // off: empty
  void texts(std::string_view key, std::vector<std::string>& out);
  void names(std::string_view key, std::vector<std::string>& out);
  void rate(std::string_view key, int64_t& out_per_minute);
  void address(std::string_view key, IpAddress& out, uint8_t& ip_version);
  void prefixes(std::string_view key, std::vector<Prefix>& out);

  template <typename T>
  void integer(std::string_view key, T& out, uint64_t min, uint64_t max) {
    uint64_t value = static_cast<uint64_t>(out);
    read_integer(key, value, min, max);
    out = static_cast<T>(value);
  }
  // `out` counts in units of unit_us microseconds; min and max do, too.
  template <typename T>
  void duration(std::string_view key, T& out, uint64_t unit_us, uint64_t min, uint64_t max) {
    uint64_t value = static_cast<uint64_t>(out);
    read_duration(key, value, unit_us, min, max);
    out = static_cast<T>(value);
  }
  // `out`, min and max count in units of `unit` bytes.
  template <typename T>
  void size(std::string_view key, T& out, uint64_t unit, uint64_t min, uint64_t max) {
    uint64_t value = static_cast<uint64_t>(out);
    read_size(key, value, unit, min, max);
    out = static_cast<T>(value);
  }
  template <typename E>
  void choice(std::string_view key, E& out,
              std::initializer_list<std::pair<std::string_view, E>> words) {
    std::vector<std::string> known;
    size_t chosen = 0;
    for (const auto& [word, value] : words) {
      if (value == out) chosen = known.size();
      known.emplace_back(word);
    }
    chosen = read_choice(key, known, chosen);
    out = (words.begin() + chosen)->second;
  }
  // A value with a form of its own: `type` for the docs, `parse` text to Parsed<T>.
  template <typename T, typename F>
  void value(std::string_view key, T& out, std::string type, std::string fallback, F&& parse) {
    const auto given = scalar(key, std::move(type), std::move(fallback));
    if (!given) return;
    if (auto parsed = parse(*given))
      out = std::move(*parsed);
    else
      complain(key, *given, parsed.error());
  }

  // The value under a key as it is; undefined when missing. Marks the key as known.
  YAML::Node child(std::string_view key, std::string type = "map");
  // Calls `read(item, path of the item)` for each item of a list.
  void each(std::string_view key, const std::function<void(const YAML::Node&, std::string)>& read,
            std::string type = "list of maps");
  // Calls `read(key, value, path of the value)` for each pair of a map with free keys.
  void pairs(std::string_view key,
             const std::function<void(const std::string&, const YAML::Node&, std::string)>& read,
             std::string type);

  void finish();

 private:
  std::optional<std::string> scalar(std::string_view key, std::string type, std::string fallback);
  std::optional<std::string> scalar_of(const YAML::Node& node, const std::string& path);
  void describe(std::string_view key, std::string type, std::string fallback);
  void complain(std::string_view key, std::string_view given, std::string_view why);
  void read_integer(std::string_view key, uint64_t& out, uint64_t min, uint64_t max);
  void read_duration(std::string_view key, uint64_t& out, uint64_t unit_us, uint64_t min,
                     uint64_t max);
  void read_size(std::string_view key, uint64_t& out, uint64_t unit, uint64_t min, uint64_t max);
  size_t read_choice(std::string_view key, const std::vector<std::string>& known, size_t chosen);

  struct Entry {
    std::string key;
    YAML::Mark mark;
    YAML::Node value;
    bool asked = false;
  };
  Entry* find(std::string_view key);

  Context& context_;
  std::string path_;
  YAML::Mark mark_;
  std::vector<Entry> entries_;
  std::vector<std::string> known_;
  std::vector<std::string> required_;
  bool is_map_ = true;
};

// "a map", "a list" …: what a node is, for messages.
std::string_view kind_of(const YAML::Node& node);
// A value as a message quotes it: printable, and not longer than a line.
std::string quote(std::string_view text);
bool is_name(std::string_view text);

}  // namespace lf::config
