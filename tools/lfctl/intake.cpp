// SPDX-License-Identifier: Apache-2.0
#include "tools/lfctl/intake.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "tools/lfctl/table.hpp"

namespace lf::ctl {
namespace {

constexpr auto kPatience = std::chrono::milliseconds(700);  // a shorter batch shows no bar
constexpr auto kPeriod = std::chrono::milliseconds(150);
constexpr unsigned kBarColumns = 30;
constexpr size_t kPieceBytes = 1u << 20;

tl::unexpected<CallError> refused(std::string why) {
  return tl::unexpected(CallError{Failure::refused, std::move(why), -32602});
}

// A file that is gone when this is.
class Spool {
 public:
  ~Spool() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  Answer<std::string> keep_standard_input() {
    char name[] = "/tmp/lfctl-intake-XXXXXX";
    const int fd = ::mkstemp(name);
    if (fd < 0) return refused("no temporary file for standard input");
    path_ = name;
    std::string piece(kPieceBytes, '\0');
    bool good = true;
    while (good) {
      const size_t n = std::fread(piece.data(), 1, piece.size(), stdin);
      if (n == 0) break;
      good = ::write(fd, piece.data(), n) == static_cast<ssize_t>(n);
    }
    ::close(fd);
    if (!good) return refused(path_ + ": standard input could not be kept");
    return path_;
  }

 private:
  std::string path_;
};

double share_of(const Json& job, const char* done, const char* total) {
  const double all = job.value(total, 0.0);
  return all <= 0 ? 0 : std::min(1.0, job.value(done, 0.0) / all);
}

std::string progress_line(const Json& job, bool sends) {
  const bool sorted = job.value("sorted", false);
  const double share =
      sorted ? share_of(job, "sent", "accepted") : share_of(job, "bytes_done", "bytes_total");
  if (sorted && !sends) return "";
  return fmt::format("\r\x1b[K{} {} {:3.0f} %", sorted ? "sent   " : "checked",
                     bar(share, kBarColumns), share * 100);
}

// A second connection asks how far the daemon is, until told to stop.
class ProgressBar {
 public:
  ProgressBar(const Options& options, const std::string& path, bool sends) {
    if (::isatty(STDERR_FILENO) == 0) return;
    thread_ =
        std::thread([this, socket = options.socket, path, sends] { show(socket, path, sends); });
  }
  ~ProgressBar() {
    over_ = true;
    if (thread_.joinable()) thread_.join();
  }

 private:
  void show(const std::string& socket, const std::string& path, bool sends) {
    const auto start = std::chrono::steady_clock::now();
    while (!over_ && std::chrono::steady_clock::now() - start < kPatience)
      std::this_thread::sleep_for(kPeriod);
    auto client = Client::connect(socket);
    bool shown = false;
    while (!over_ && client) {
      const auto status = client->call("intake.status", Json::object());
      if (!status) break;
      const Json none = Json::array();
      const auto jobs = status->find("jobs");
      for (const Json& job : jobs == status->end() ? none : *jobs) {
        if (job.value("from", "") != path || job.value("finished", false)) continue;
        std::fputs(progress_line(job, sends).c_str(), stderr);
        shown = true;
      }
      std::fflush(stderr);
      std::this_thread::sleep_for(kPeriod);
    }
    if (shown) std::fputs("\r\x1b[K", stderr);
  }

  std::atomic<bool> over_{false};
  std::thread thread_;
};

}  // namespace

std::vector<std::string> with_plain_flags(std::vector<std::string> words) {
  const auto submit = std::find(words.begin(), words.end(), "submit");
  if (submit == words.begin() || submit == words.end() || *(submit - 1) != "intake") return words;
  for (auto word = submit + 1; word != words.end(); ++word) {
    const bool flag = *word == "--dry-run" || *word == "--wait" || *word == "--summary";
    const auto next = word + 1;
    if (flag && (next == words.end() || (*next != "true" && *next != "false"))) *word += "=true";
  }
  return words;
}

Answer<Json> submit_batch(Client& client, Json params, const Options& options) {
  Spool spool;
  std::string path = params.value("path", "");
  if (path == "-") {
    auto kept = spool.keep_standard_input();
    if (!kept) return tl::unexpected(kept.error());
    path = *kept;
  }
  if (!path.empty()) {
    std::error_code error;
    const auto absolute = std::filesystem::absolute(path, error);
    if (!error) path = absolute.string();
    params["path"] = path;
  }
  if (!params.contains("summary") && !options.json) params["summary"] = true;
  const ProgressBar progress(options, path, !params.value("dry_run", false));
  return client.call(kSubmitMethod, params);
}

std::string submit_view(const Json& result) {
  const auto number = [&](const char* key) { return grouped(result.value(key, uint64_t{0})); };
  std::string text;
  const Json errors = result.value("errors", Json::array());
  for (const Json& error : errors) text += error.get<std::string>() + "\n";
  const auto all = result.value("error_count", uint64_t{0});
  if (all > errors.size()) text += fmt::format("and {} more\n", grouped(all - errors.size()));
  text += fmt::format(
      "{} rows: {} accepted ({} urgent, {} normal), {} with errors, {} duplicates; {:.1f} ms\n",
      number("rows"), number("accepted_count"), number("urgent"), number("normal"),
      number("error_count"), number("duplicates"), result.value("elapsed_ms", 0.0));
  if (result.value("dry_run", false)) return text + "nothing was sent\n";
  const auto statuses = result.find("by_status");
  if (statuses == result.end())
    return text + fmt::format("sending as batch {}; see lfctl intake status\n", number("job"));
  text += "answers:";
  for (const auto& [status, count] : statuses->items())
    text += fmt::format(" {} {}", status, grouped(count.get<uint64_t>()));
  return text + "\n";
}

}  // namespace lf::ctl
