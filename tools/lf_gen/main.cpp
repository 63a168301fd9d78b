// SPDX-License-Identifier: Apache-2.0
// lf-gen: a packet generator for LCP on DPDK. One trial, or a line of JSON for each line of trial
// options on standard input (--serve).
#include <poll.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <sodium.h>

#include <atomic>
#include <csignal>
#include <iostream>
#include <memory>
#include <string>

#include "tools/lf_gen/generator.hpp"

namespace {

using namespace lf;

std::atomic<bool> stop{false};

int complain(const Error& error) {
  fmt::print(stderr, "lf-gen: {}\n", error.message);
  return 1;
}

// Until a line is there: the ports stay served (ARP, probes). False at the end of the input.
bool next_line(gen::Generator& generator, std::string& line) {
  while (!stop.load()) {
    if (std::cin.rdbuf()->in_avail() > 0) return static_cast<bool>(std::getline(std::cin, line));
    pollfd fd{0, POLLIN, 0};
    if (generator.receive_all() == 0) rte_delay_us_sleep(50);
    if (::poll(&fd, 1, 0) > 0) return static_cast<bool>(std::getline(std::cin, line));
  }
  return false;
}

void serve(gen::Generator& generator, const gen::Options& options) {
  std::ios::sync_with_stdio(false);  // so that in_avail() tells what was read ahead
  fmt::print("{{\"ready\": true}}\n");
  std::fflush(stdout);
  std::string line;
  while (next_line(generator, line)) {
    const auto trial = gen::parse_trial(line, options);
    if (!trial)
      fmt::print("{{\"error\": \"{}\"}}\n", trial.error().message);
    else
      fmt::print("{}\n", to_json(generator.run(*trial), *trial, options.answer));
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = gen::parse_options(argc, argv);
  if (!options) return options.error();
  if (sodium_init() < 0) return complain({.message = "libsodium cannot be initialised"});
  std::signal(SIGINT, [](int) { stop.store(true); });
  std::signal(SIGTERM, [](int) { stop.store(true); });
  std::signal(SIGPIPE, SIG_IGN);
  if (auto started = gen::start_eal(*options); !started) return complain(started.error());
  const auto ports = gen::open_ports(*options);
  if (!ports) return complain(ports.error());
  if (auto up = gen::wait_for_links(*ports, options->link_wait_s); !up) return complain(up.error());
  uint64_t run = 0;
  randombytes_buf(&run, sizeof(run));
  {
    const auto generator = std::make_unique<gen::Generator>(*options, *ports, run, stop);
    if (options->serve)
      serve(*generator, *options);
    else
      fmt::print("{}\n", to_json(generator->run(options->trial), options->trial, options->answer));
  }
  gen::close_ports(*ports);
  rte_eal_cleanup();
  return 0;
}
