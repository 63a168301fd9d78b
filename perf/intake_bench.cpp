// SPDX-License-Identifier: Apache-2.0
// Batch intake of 100, 1,000, 10,000 and 1,000,000 commands, from their text to the sorted output,
// beside the plain reference (tests/support/plain_intake.hpp) in the same run: milliseconds,
// commands a second, and how much memory the process grew by, over the bytes of the input.
// One line of JSON for perf/bench.py, text with --text. Its own program: peak memory is a
// process's.
#include <fmt/format.h>
#include <sys/wait.h>
#include <tbb/global_control.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "control/intake/batch.hpp"
#include "dataplane/core/fast_random.hpp"
#include "tests/support/plain_intake.hpp"

namespace lf::intake {
namespace {

constexpr int64_t kNowUs = 1'767'225'600'000'000;

// Commands as a gateway writes them, about 300 bytes each: 2 % are faulty, 2 % are duplicates.
std::string commands(size_t count) {
  FastRandom random(count);
  std::string text;
  std::string last_id = "none";
  text.reserve(count * 320 + 4096);
  const char* const intents[] = {"status-refresh", "replay-window", "orbit-adjust",
                                 "failover-region", "firmware-patch"};
  for (size_t i = 0; i < count; ++i) {
    const uint64_t a = random.next(), b = random.next();
    const bool faulty = a % 50 == 0, again = a % 50 == 1;
    std::string id = fmt::format("{:08x}-{:04x}-4{:03x}-9{:03x}-{:012x}", a >> 32, a & 0xffff,
                                 b & 0xfff, b >> 52, b >> 12 & 0xffffffffffff);
    if (again) id = last_id;
    text += fmt::format(
        R"({{"command_id":"{}","org":"{}","satellite_id":"sat-{}","intent":"{}","issued_by":"op-{}",)"
        R"("signature":"{:016x}","deadline":"2026-01-01T{:02}:{:02}:{:02}Z","trace_id":"{:016x}{:016x}",)"
        R"("severity":{},"payload":{{"delta_v":{}.{},"window":[{},{}]}}}})",
        id, a & 1 ? "acme" : "globex", b % 500, faulty ? "" : intents[b % 5], a % 40, a, b % 20,
        a % 60, faulty ? 61 : b % 59, b, a, 1 + a % 5, b % 9, a % 1000, a % 100, b % 100);
    text += '\n';
    last_id = std::move(id);
  }
  return text;
}

OrgNames orgs() {
  OrgNames names;
  names.ids = {{"acme", 1}, {"globex", 2}};
  return names;
}

template <typename Function>
std::vector<double> times_ms(int samples, Function function) {
  std::vector<double> times;
  for (int i = 0; i < samples; ++i) {
    const auto start = std::chrono::steady_clock::now();
    function();
    times.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
            .count());
  }
  std::sort(times.begin(), times.end());
  return times;
}

// Its text is copied before the clock starts: a caller hands over what it has.
std::vector<double> ours_ms(const std::string& text, int threads, int samples) {
  const OrgNames names = orgs();
  std::vector<double> times;
  for (int i = 0; i < samples; ++i) {
    std::string copy;
    copy.reserve(text.size() + 4096);
    copy = text;
    auto source = text_source(std::move(copy));
    times.push_back(times_ms(1, [&] {
      const auto batch = process(std::move(source), names, {.now_us = kNowUs, .threads = threads});
      if (!batch) std::exit(1);
    })[0]);
  }
  std::sort(times.begin(), times.end());
  return times;
}

// Of this program alone: what getrusage() says includes the parent's.
long resident_max_kb() {
  std::ifstream status("/proc/self/status");
  std::string word;
  long kb = 0;
  while (status >> word)
    if (word == "VmHWM:") status >> kb;
  return kb;
}

// Of a child that reads the text from a file: how much its peak is above what it began with.
double memory_ratio(const std::string& path, size_t bytes, int threads) {
  int ends[2];
  if (pipe(ends) != 0) return 0;
  const pid_t child = fork();
  if (child == 0) {
    // A new program, for a child begins with its parent's peak.
    const std::string count = std::to_string(threads);
    dup2(ends[1], STDOUT_FILENO);
    execl("/proc/self/exe", "intake_bench", "--memory-of", path.c_str(), "--threads", count.c_str(),
          nullptr);
    _exit(127);
  }
  close(ends[1]);
  char text[64] = {};
  [[maybe_unused]] const ssize_t n = read(ends[0], text, sizeof text - 1);
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return std::atof(text) * 1024 / static_cast<double>(bytes);
}

int print_memory_of(const std::string& path, int threads) {
  const OrgNames names = orgs();
  // What a first batch leaves behind (threads, parsers) is no cost of this one, so it is counted
  // in.
  const long before = resident_max_kb();
  auto source = file_source(path);
  if (!source) return 1;
  const auto batch = process(std::move(*source), names, {.now_us = kNowUs, .threads = threads});
  if (!batch) return 1;
  std::printf("%ld\n", resident_max_kb() - before);
  return 0;
}

double median(const std::vector<double>& sorted) {
  return sorted[sorted.size() / 2];
}

}  // namespace
}  // namespace lf::intake

int main(int argc, char** argv) {
  using namespace lf::intake;
  CLI::App app{"Batch intake beside the plain reference"};
  int threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  int samples = 15;
  std::vector<size_t> sizes = {100, 1000, 10'000};
  std::string memory_of;
  bool text_output = false, with_memory = false;
  app.add_option("--threads", threads);
  app.add_option("--samples", samples);
  app.add_option("--sizes", sizes);
  app.add_option("--memory-of", memory_of, "print by how many KiB this file makes a process grow");
  app.add_flag("--memory", with_memory, "measure the peak memory, too");
  app.add_flag("--text", text_output);
  CLI11_PARSE(app, argc, argv);
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                  static_cast<size_t>(threads));
  if (!memory_of.empty()) return print_memory_of(memory_of, threads);
  nlohmann::json out = nlohmann::json::array();
  const OrgNames names = orgs();
  for (const size_t size : sizes) {
    const std::string text = commands(size);
    const int plain_samples = size > 100'000 ? 1 : std::max(samples / 3, 1);
    ours_ms(text, threads, 1);  // warm
    const auto ours = ours_ms(text, threads, samples);
    const auto plain = times_ms(plain_samples, [&] {
      const auto batch = lf::test::plain_intake(text, names, kNowUs);
      if (batch.rows != size) std::exit(1);
    });
    double memory = 0;
    if (with_memory) {
      const std::string path = fmt::format("/tmp/lf-intake-bench-{}", getpid());
      std::ofstream(path, std::ios::binary) << text;
      memory = memory_ratio(path, text.size(), threads);
      unlink(path.c_str());
    }
    const double ms = median(ours);
    out.push_back({{"name", fmt::format("intake.batch.{}", size)},
                   {"value", ms},
                   {"unit", "ms"},
                   {"baseline", median(plain)},
                   {"ratio", median(plain) / ms},
                   {"commands_per_s", static_cast<double>(size) / ms * 1e3},
                   {"input_bytes", text.size()},
                   {"memory_ratio", memory},
                   {"threads", threads},
                   {"samples", ours}});
    if (text_output)
      fmt::print(
          "{:>9} commands  {:9.3f} ms (best {:.3f})  {:>10.0f}/s  plain {:9.2f} ms  ratio {:.1f}  "
          "memory {:.2f} of {} bytes\n",
          size, ms, ours[0], static_cast<double>(size) / ms * 1e3, median(plain),
          median(plain) / ms, memory, text.size());
  }
  if (!text_output) fmt::print("{}\n", out.dump());
  return 0;
}
