// SPDX-License-Identifier: Apache-2.0
#include "control/policy/store.hpp"

#include <openssl/evp.h>
#include <sodium.h>
#include <sqlite3.h>

#include <array>
#include <charconv>

namespace lf::policy {
namespace {

constexpr const char* kSchema = R"(
pragma journal_mode = wal;
pragma synchronous = normal;
create table if not exists versions(version integer primary key autoincrement, text text not null,
  sha256 text not null, author text not null, source text not null, loaded_us integer not null,
  rules integer not null);
create trigger if not exists versions_are_immutable before update on versions
  begin select raise(abort, 'policy versions are immutable'); end;
create trigger if not exists versions_stay before delete on versions
  begin select raise(abort, 'policy versions are immutable'); end;
create table if not exists activations(id integer primary key autoincrement, base integer not null,
  candidate integer not null, percent real not null, orgs text not null,
  confirm_by_us integer not null, author text not null, at_us integer not null,
  kind text not null);
create table if not exists names(kind text not null, number integer not null, name text not null,
  primary key(kind, number));
create table if not exists settings(key text primary key, value blob not null);
)";

std::string join_ids(const std::vector<uint32_t>& ids) {
  std::string text;
  for (const uint32_t id : ids) text += (text.empty() ? "" : ",") + std::to_string(id);
  return text;
}

std::vector<uint32_t> split_ids(std::string_view text) {
  std::vector<uint32_t> ids;
  const char* at = text.data();
  const char* end = at + text.size();
  while (at < end) {
    uint32_t id = 0;
    at = std::from_chars(at, end, id).ptr;
    ids.push_back(id);
    if (at < end) ++at;
  }
  return ids;
}

}  // namespace

// One prepared statement: bind in order, step, read columns.
class Store::Statement {
 public:
  Statement(sqlite3* db, const char* sql) : db_(db) {
    sqlite3_prepare_v2(db, sql, -1, &statement_, nullptr);
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(int64_t v) {
    sqlite3_bind_int64(statement_, ++bound_, v);
    return *this;
  }
  Statement& bind(double v) {
    sqlite3_bind_double(statement_, ++bound_, v);
    return *this;
  }
  Statement& bind(const std::string& v) {
    sqlite3_bind_text(statement_, ++bound_, v.data(), static_cast<int>(v.size()), SQLITE_TRANSIENT);
    return *this;
  }
  // True: a row is there; false: done.
  Result<bool> step() {
    const int code = statement_ ? sqlite3_step(statement_) : SQLITE_ERROR;
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return fail(ErrorCode::unavailable, "policy store: {}", sqlite3_errmsg(db_));
  }
  int64_t integer(int column) { return sqlite3_column_int64(statement_, column); }
  double real(int column) { return sqlite3_column_double(statement_, column); }
  std::string text(int column) {
    const void* bytes = sqlite3_column_blob(statement_, column);
    const int size = sqlite3_column_bytes(statement_, column);
    return bytes ? std::string(static_cast<const char*>(bytes), static_cast<size_t>(size)) : "";
  }
  VersionInfo version() {
    return {static_cast<uint32_t>(integer(0)), text(1), integer(2), text(3), text(4),
            static_cast<uint32_t>(integer(5))};
  }

 private:
  sqlite3* db_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
};

std::string sha256_hex(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

Result<std::unique_ptr<Store>> Store::open(const std::string& path) {
  sqlite3* db = nullptr;
  const int code = sqlite3_open(path.c_str(), &db);
  std::unique_ptr<Store> store(new Store(db));
  if (code != SQLITE_OK)
    return fail(ErrorCode::unavailable, "{}: {}", path, db ? sqlite3_errmsg(db) : "no memory");
  sqlite3_busy_timeout(db, 2000);
  if (auto ready = store->prepare_file(); !ready)
    return fail(ready.error().code, "{}: {}", path, ready.error().message);
  return store;
}

Store::~Store() {
  sqlite3_close(db_);
}

Result<void> Store::execute(const char* sql) {
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK)
    return fail(ErrorCode::unavailable, "policy store: {}", sqlite3_errmsg(db_));
  return {};
}

Result<void> Store::prepare_file() {
  if (auto made = execute(kSchema); !made) return made;
  std::string fresh(crypto_shorthash_KEYBYTES, '\0');
  randombytes_buf(fresh.data(), fresh.size());
  Statement insert(db_, "insert or ignore into settings(key, value) values('org-hash-key', ?)");
  if (auto done = insert.bind(fresh).step(); !done) return tl::unexpected(done.error());
  Statement select(db_, "select value from settings where key = 'org-hash-key'");
  if (auto row = select.step(); !row) return tl::unexpected(row.error());
  key_ = select.text(0);
  if (key_.size() != crypto_shorthash_KEYBYTES)
    return fail(ErrorCode::invalid, "the organisations' hash key has the wrong size");
  return {};
}

Result<uint32_t> Store::add(const std::string& text, VersionInfo info) {
  Statement newest(db_, "select version, text from versions order by version desc limit 1");
  const auto row = newest.step();
  if (!row) return tl::unexpected(row.error());
  if (*row && newest.text(1) == text) return static_cast<uint32_t>(newest.integer(0));
  Statement insert(db_,
                   "insert into versions(text, sha256, author, source, loaded_us, rules) "
                   "values(?, ?, ?, ?, ?, ?)");
  const auto done = insert.bind(text)
                        .bind(sha256_hex(text))
                        .bind(info.author)
                        .bind(info.source)
                        .bind(info.loaded_us)
                        .bind(int64_t{info.rules})
                        .step();
  if (!done) return tl::unexpected(done.error());
  return static_cast<uint32_t>(sqlite3_last_insert_rowid(db_));
}

Result<std::string> Store::text(uint32_t version) {
  Statement select(db_, "select text from versions where version = ?");
  const auto row = select.bind(int64_t{version}).step();
  if (!row) return tl::unexpected(row.error());
  if (!*row) return fail(ErrorCode::not_found, "there is no policy version {}", version);
  return select.text(0);
}

Result<VersionInfo> Store::info(uint32_t version) {
  Statement select(db_,
                   "select version, author, loaded_us, sha256, source, rules from versions "
                   "where version = ?");
  const auto row = select.bind(int64_t{version}).step();
  if (!row) return tl::unexpected(row.error());
  if (!*row) return fail(ErrorCode::not_found, "there is no policy version {}", version);
  return select.version();
}

Result<std::vector<VersionInfo>> Store::list() {
  Statement select(db_,
                   "select version, author, loaded_us, sha256, source, rules from versions "
                   "order by version");
  std::vector<VersionInfo> all;
  for (;;) {
    const auto row = select.step();
    if (!row) return tl::unexpected(row.error());
    if (!*row) return all;
    all.push_back(select.version());
  }
}

Result<std::optional<uint32_t>> Store::find(const std::string& sha256) {
  Statement select(db_, "select version from versions where sha256 = ? order by version limit 1");
  const auto row = select.bind(sha256).step();
  if (!row) return tl::unexpected(row.error());
  if (!*row) return std::nullopt;
  return static_cast<uint32_t>(select.integer(0));
}

Result<void> Store::add_activation(Activation& a) {
  Statement insert(db_,
                   "insert into activations(base, candidate, percent, orgs, confirm_by_us, author, "
                   "at_us, kind) values(?, ?, ?, ?, ?, ?, ?, ?)");
  const auto done = insert.bind(int64_t{a.base})
                        .bind(int64_t{a.candidate})
                        .bind(a.percent)
                        .bind(join_ids(a.org_ids))
                        .bind(a.confirm_by_us)
                        .bind(a.author)
                        .bind(a.at_us)
                        .bind(a.kind)
                        .step();
  if (!done) return tl::unexpected(done.error());
  a.id = static_cast<uint64_t>(sqlite3_last_insert_rowid(db_));
  return {};
}

Result<std::vector<Activation>> Store::activations() {
  Statement select(db_,
                   "select id, base, candidate, percent, orgs, confirm_by_us, author, at_us, kind "
                   "from activations order by id");
  std::vector<Activation> all;
  for (;;) {
    const auto row = select.step();
    if (!row) return tl::unexpected(row.error());
    if (!*row) return all;
    all.push_back(
        {static_cast<uint64_t>(select.integer(0)), static_cast<uint32_t>(select.integer(1)),
         static_cast<uint32_t>(select.integer(2)), select.real(3), split_ids(select.text(4)),
         select.integer(5), select.text(6), select.integer(7), select.text(8)});
  }
}

Result<void> Store::pop_activation() {
  return execute("delete from activations where id = (select max(id) from activations)");
}

Result<std::vector<std::string>> Store::names(const std::string& kind) {
  Statement select(db_, "select name from names where kind = ? order by number");
  select.bind(kind);
  std::vector<std::string> all;
  for (;;) {
    const auto row = select.step();
    if (!row) return tl::unexpected(row.error());
    if (!*row) return all;
    all.push_back(select.text(0));
  }
}

Result<void> Store::save_names(const std::string& kind, const std::vector<std::string>& names) {
  for (size_t n = 0; n < names.size(); ++n) {
    Statement insert(db_, "insert or ignore into names(kind, number, name) values(?, ?, ?)");
    const auto done = insert.bind(kind).bind(static_cast<int64_t>(n)).bind(names[n]).step();
    if (!done) return tl::unexpected(done.error());
  }
  return {};
}

}  // namespace lf::policy
