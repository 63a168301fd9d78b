// SPDX-License-Identifier: Apache-2.0
// lf-send: the reference client. Shares the work among threads, adds up what they saw.
#include <sodium.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <memory>
#include <thread>

#include "tools/common/text.hpp"
#include "tools/lf_send/options.hpp"
#include "tools/lf_send/sender.hpp"
#include "tools/lf_send/single.hpp"

namespace {

using namespace lf;

std::atomic<bool> stop{false};

send::Options share_of(const send::Options& all, uint32_t thread) {
  send::Options mine = all;
  mine.rate = all.rate / all.threads;
  if (all.count) mine.count = all.count / all.threads + (thread < all.count % all.threads ? 1 : 0);
  return mine;
}

bool write_text(const std::string& path, const std::string& text) {
  std::FILE* f = std::fopen(path.c_str(), "w");
  if (!f) {
    fmt::print(stderr, "lf-send: {}: {}\n", path, std::strerror(errno));
    return false;
  }
  fmt::print(f, "{}", text);
  return std::fclose(f) == 0;
}

std::string ids_text(const std::vector<std::unique_ptr<send::Sender>>& senders) {
  std::string text;
  for (const auto& s : senders) {
    const auto& commands = s->tracker().commands();
    for (size_t n = 0; n < commands.size(); ++n) {
      const auto& c = commands[n];
      std::string_view what = "lost";
      if (c.state == send::Tracker::State::answered) what = lcp::name_of(c.status);
      if (c.state == send::Tracker::State::spoiled) what = send::name_of(s->source().fault_of(n));
      text += fmt::format("{} {} {}\n", tools::to_hex(s->source().id_of(n)), what, c.attempt + 1);
    }
  }
  return text;
}

int run_commands(const send::Options& options, uint64_t run) {
  std::vector<std::unique_ptr<send::Sender>> senders;
  for (uint32_t t = 0; t < options.threads; ++t) {
    const send::Options mine = share_of(options, t);
    if (options.count && mine.count == 0) continue;
    senders.push_back(std::make_unique<send::Sender>(mine, run, static_cast<uint16_t>(t), stop));
    if (auto opened = senders.back()->open(); !opened) {
      fmt::print(stderr, "lf-send: {}\n", opened.error().message);
      return 1;
    }
  }
  {
    std::vector<std::jthread> threads;
    for (size_t t = 1; t < senders.size(); ++t)
      threads.emplace_back([s = senders[t].get()] { s->run(); });
    senders[0]->run();
  }
  send::Results total;
  for (const auto& s : senders) total.add(s->results());

  bool written = true;
  if (!options.ids_file.empty()) written &= write_text(options.ids_file, ids_text(senders));
  const std::string json = to_json(total) + "\n";
  if (options.json == "-")
    fmt::print("{}", json);
  else if (!options.json.empty())
    written &= write_text(options.json, json);
  if (options.json != "-") fmt::print("{}", to_text(total));

  const double answered =
      total.unique ? 100.0 * static_cast<double>(total.answered) / static_cast<double>(total.unique)
                   : 100.0;
  return written && answered >= options.expect_answered ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = send::parse_options(argc, argv);
  if (!options) return options.error();
  if (sodium_init() < 0) {
    fmt::print(stderr, "lf-send: libsodium cannot be initialised\n");
    return 1;
  }
  std::signal(SIGINT, [](int) { stop.store(true); });
  std::signal(SIGTERM, [](int) { stop.store(true); });
  uint64_t run = 0;
  randombytes_buf(&run, sizeof(run));
  switch (options->mode) {
    case send::Mode::approve:
      return run_approve(*options, run);
    case send::Mode::probe:
      return run_probe(*options, run);
    case send::Mode::commands:
      break;
  }
  return run_commands(*options, options->run.value_or(run));
}
