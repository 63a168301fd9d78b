// SPDX-License-Identifier: Apache-2.0
// Where policy versions live: an SQLite file with every version's text (immutable, numbered, with
// author, time and SHA-256), the history of activations, and the numbers given to roles and target
// groups. Control thread. ":memory:" keeps nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/base/clock.hpp"
#include "control/base/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace lf::policy {

struct VersionInfo {
  uint32_t version = 0;
  std::string author;
  UnixUs loaded_us = 0;
  std::string sha256;  // hex, of the text
  std::string source;  // file name or "socket"
  uint32_t rules = 0;
};

// Who gets which version. `base` is everybody's but for the candidate's organisations.
struct Activation {
  uint64_t id = 0;
  uint32_t base = 0;
  uint32_t candidate = 0;         // 0: none
  double percent = 0;             // of the organisations that get the candidate
  std::vector<uint32_t> org_ids;  // or these, when not empty
  UnixUs confirm_by_us = 0;       // 0: needs no confirmation
  std::string author;
  UnixUs at_us = 0;
  std::string kind;  // "activate", "rollback", "fallback", "confirm"
};

class Store {
 public:
  static Result<std::unique_ptr<Store>> open(const std::string& path);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Gives the next number; the same text as the newest version's gets that version's number.
  Result<uint32_t> add(const std::string& text, VersionInfo info);
  Result<std::string> text(uint32_t version);
  Result<VersionInfo> info(uint32_t version);
  Result<std::vector<VersionInfo>> list();
  // Version whose text has this hash, or nothing.
  Result<std::optional<uint32_t>> find(const std::string& sha256);

  Result<void> add_activation(Activation& activation);  // sets id
  Result<std::vector<Activation>> activations();        // oldest first
  // Undoes the newest activation in the history (it stays in the audit log).
  Result<void> pop_activation();

  // Names in the order of their numbers. kind: "role", "group".
  Result<std::vector<std::string>> names(const std::string& kind);
  Result<void> save_names(const std::string& kind, const std::vector<std::string>& names);

  // Drawn once for the file's life: the key of the hash that picks organisations for a percentage.
  const std::string& key() const { return key_; }

 private:
  class Statement;
  explicit Store(sqlite3* db) : db_(db) {}
  Result<void> execute(const char* sql);
  Result<void> prepare_file();

  sqlite3* db_;
  std::string key_;  // 16 bytes
};

std::string sha256_hex(std::string_view bytes);

}  // namespace lf::policy
