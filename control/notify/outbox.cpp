// SPDX-License-Identifier: Apache-2.0
#include "control/notify/outbox.hpp"

#include <sqlite3.h>

#include <nlohmann/json.hpp>
#include <utility>

namespace lf::notify {
namespace {

using Json = nlohmann::json;

constexpr UnixUs kFarthestUs = 60'000'000;  // no retry is further away
constexpr const char* kKeepDelivered = "1000";

constexpr const char* kSchema = R"(
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL,
    sink TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    body TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_us INTEGER NOT NULL,
    delivered_us INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '');
  CREATE INDEX IF NOT EXISTS outbox_due ON outbox (sink, next_us) WHERE delivered_us = 0;
  CREATE TABLE IF NOT EXISTS last_sent (
    recipient TEXT NOT NULL, channel INTEGER NOT NULL, at_us INTEGER NOT NULL,
    PRIMARY KEY (recipient, channel));
  CREATE TABLE IF NOT EXISTS sinks (key TEXT PRIMARY KEY);
)";
constexpr const char* kColumns =
    "id, uuid, sink, created_us, body, attempts, next_us, delivered_us, error";

// A prepared statement: bind in order, step, read columns.
class Statement {
 public:
  Statement(sqlite3* db, const std::string& sql) : db_(db) {
    sqlite3_prepare_v2(db, sql.c_str(), -1, &statement_, nullptr);
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(int64_t value) {
    sqlite3_bind_int64(statement_, ++bound_, value);
    return *this;
  }
  Statement& bind(const std::string& value) {
    sqlite3_bind_text(statement_, ++bound_, value.data(), static_cast<int>(value.size()),
                      SQLITE_TRANSIENT);
    return *this;
  }
  // True: there is a row. False: done.
  Result<bool> step() {
    const int code = statement_ == nullptr ? SQLITE_ERROR : sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return fail(ErrorCode::unavailable, "notification store: {}", sqlite3_errmsg(db_));
  }
  Result<void> finish() {
    auto r = step();
    if (!r) return tl::unexpected(r.error());
    return {};
  }
  int64_t number(int column) const { return sqlite3_column_int64(statement_, column); }
  std::string text(int column) const {
    const auto* p = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return p == nullptr
               ? std::string()
               : std::string(p, static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
  }

 private:
  sqlite3* db_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
};

std::string body_of(const Message& m) {
  return Json{{"severity", m.event.severity}, {"subsystem", m.event.subsystem},
              {"text", m.event.text},         {"labels", m.event.labels},
              {"subject", m.subject},         {"recipient", m.recipient},
              {"channels", m.channels}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

Message message_in(const Statement& s) {
  Message m;
  m.id = s.number(0);
  m.uuid = s.text(1);
  m.sink = s.text(2);
  m.created_us = s.number(3);
  m.attempts = static_cast<uint32_t>(s.number(5));
  m.next_us = s.number(6);
  m.delivered_us = s.number(7);
  m.error = s.text(8);
  const Json body = Json::parse(s.text(4), nullptr, false);
  if (!body.is_object()) return m;  // written by something else: delivered as an empty event
  m.event.severity = body.value("severity", uint8_t{1});
  m.event.subsystem = body.value("subsystem", "");
  m.event.text = body.value("text", "");
  m.event.labels = body.value("labels", std::map<std::string, std::string>{});
  m.subject = body.value("subject", "");
  m.recipient = body.value("recipient", "");
  m.channels = body.value("channels", std::vector<std::string>{});
  return m;
}

Result<std::vector<Message>> messages_in(Statement& s) {
  std::vector<Message> all;
  for (;;) {
    const auto row = s.step();
    if (!row) return tl::unexpected(row.error());
    if (!*row) return all;
    all.push_back(message_in(s));
  }
}

}  // namespace

Result<std::unique_ptr<Outbox>> Outbox::open(const std::string& path) {
  sqlite3* db = nullptr;
  const int code = sqlite3_open(path.empty() ? ":memory:" : path.c_str(), &db);
  std::unique_ptr<Outbox> box(new Outbox(db));
  if (code != SQLITE_OK)
    return fail(ErrorCode::unavailable, "{}: notification store: {}", path, sqlite3_errmsg(db));
  sqlite3_busy_timeout(db, 2000);
  if (auto r = box->run(kSchema); !r)
    return fail(r.error().code, "{}: {}", path, r.error().message);
  return box;
}

Outbox::~Outbox() {
  sqlite3_close(db_);
}

Result<void> Outbox::run(const char* sql) {
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return fail(ErrorCode::unavailable, "notification store: {}", sqlite3_errmsg(db_));
}

template <typename Write>
Result<void> Outbox::all_or_none(Write&& write) {
  const std::lock_guard lock(mutex_);
  if (auto r = run("BEGIN IMMEDIATE"); !r) return r;
  auto r = write();
  if (r) r = run("COMMIT");
  if (!r) (void)run("ROLLBACK");
  return r;
}

Result<void> Outbox::add(const std::vector<Message>& messages, const std::vector<LastSent>& sent) {
  return all_or_none([&]() -> Result<void> {
    for (const Message& m : messages) {
      Statement s(db_,
                  "INSERT INTO outbox (uuid, sink, created_us, body, next_us) VALUES (?,?,?,?,?)");
      auto r =
          s.bind(m.uuid).bind(m.sink).bind(m.created_us).bind(body_of(m)).bind(m.next_us).finish();
      if (!r) return r;
    }
    for (const LastSent& l : sent) {
      Statement s(db_, "INSERT OR REPLACE INTO last_sent VALUES (?,?,?)");
      if (auto r = s.bind(l.recipient).bind(l.channel).bind(l.at_us).finish(); !r) return r;
    }
    return {};
  });
}

Result<std::set<std::string>> Outbox::names(const char* sql) {
  const std::lock_guard lock(mutex_);
  Statement s(db_, sql);
  std::set<std::string> all;
  for (;;) {
    const auto row = s.step();
    if (!row) return tl::unexpected(row.error());
    if (!*row) return all;
    all.insert(s.text(0));
  }
}

Result<std::set<std::string>> Outbox::sinks() {
  return names("SELECT key FROM sinks");
}

Result<std::set<std::string>> Outbox::waited_for() {
  return names("SELECT DISTINCT sink FROM outbox WHERE delivered_us = 0");
}

Result<void> Outbox::change_sinks(const std::vector<std::string>& sinks,
                                  const std::vector<Move>& moves, UnixUs now_us) {
  return all_or_none([&]() -> Result<void> {
    for (const Move& m : moves) {
      Statement s(db_, m.to.empty() ? "DELETE FROM outbox WHERE id = ?1"
                                    : "UPDATE outbox SET sink = ?2, next_us = ?3, attempts = 0,"
                                      " error = '' WHERE id = ?1");
      s.bind(m.id);
      if (!m.to.empty()) s.bind(m.to).bind(now_us);
      if (auto r = s.finish(); !r) return r;
    }
    if (auto r = run("DELETE FROM sinks"); !r) return r;
    for (const std::string& key : sinks) {
      Statement s(db_, "INSERT OR IGNORE INTO sinks VALUES (?)");
      if (auto r = s.bind(key).finish(); !r) return r;
    }
    return {};
  });
}

Result<std::vector<LastSent>> Outbox::last_sent() {
  const std::lock_guard lock(mutex_);
  Statement s(db_, "SELECT recipient, channel, at_us FROM last_sent");
  std::vector<LastSent> all;
  for (;;) {
    const auto row = s.step();
    if (!row) return tl::unexpected(row.error());
    if (!*row) return all;
    all.push_back({s.text(0), static_cast<uint8_t>(s.number(1)), s.number(2)});
  }
}

Result<std::optional<Message>> Outbox::next_due(const std::string& sink, UnixUs now_us) {
  const std::lock_guard lock(mutex_);
  Statement s(db_, std::string("SELECT ") + kColumns +
                       " FROM outbox WHERE delivered_us = 0 AND sink = ? AND"
                       " (next_us <= ? OR next_us > ?) ORDER BY next_us, id LIMIT 1");
  const auto row = s.bind(sink).bind(now_us).bind(now_us + kFarthestUs).step();
  if (!row) return tl::unexpected(row.error());
  if (!*row) return std::optional<Message>();
  return message_in(s);
}

Result<std::optional<UnixUs>> Outbox::next_attempt(const std::string& sink) {
  const std::lock_guard lock(mutex_);
  Statement s(db_,
              "SELECT next_us FROM outbox WHERE delivered_us = 0 AND sink = ? ORDER BY next_us "
              "LIMIT 1");
  const auto row = s.bind(sink).step();
  if (!row) return tl::unexpected(row.error());
  return *row ? std::optional<UnixUs>(s.number(0)) : std::nullopt;
}

Result<void> Outbox::delivered(int64_t id, UnixUs now_us) {
  const std::lock_guard lock(mutex_);
  Statement s(db_, "UPDATE outbox SET delivered_us = ?, error = '' WHERE id = ?");
  if (auto r = s.bind(now_us).bind(id).finish(); !r) return r;
  Statement old(db_, std::string("DELETE FROM outbox WHERE delivered_us > 0 AND id NOT IN (SELECT "
                                 "id FROM outbox WHERE delivered_us > 0 ORDER BY id DESC LIMIT ") +
                         kKeepDelivered + ")");
  return old.finish();
}

Result<void> Outbox::failed(int64_t id, const std::string& error, UnixUs next_us) {
  const std::lock_guard lock(mutex_);
  Statement s(db_,
              "UPDATE outbox SET attempts = attempts + 1, error = ?, next_us = ? WHERE id = ?");
  return s.bind(error).bind(next_us).bind(id).finish();
}

Result<std::vector<Message>> Outbox::waiting(const std::string& sink) {
  const std::lock_guard lock(mutex_);
  Statement s(db_, std::string("SELECT ") + kColumns +
                       " FROM outbox WHERE delivered_us = 0 AND sink = ? ORDER BY id");
  s.bind(sink);
  return messages_in(s);
}

Result<std::vector<Message>> Outbox::list(uint32_t count) {
  const std::lock_guard lock(mutex_);
  Statement s(db_, std::string("SELECT ") + kColumns +
                       " FROM outbox ORDER BY delivered_us > 0, delivered_us DESC, id LIMIT ?");
  s.bind(count);
  return messages_in(s);
}

Result<uint64_t> Outbox::pending() {
  const std::lock_guard lock(mutex_);
  Statement s(db_, "SELECT count(*) FROM outbox WHERE delivered_us = 0");
  const auto row = s.step();
  if (!row) return tl::unexpected(row.error());
  return static_cast<uint64_t>(s.number(0));
}

}  // namespace lf::notify
