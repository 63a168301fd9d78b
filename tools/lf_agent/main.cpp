// SPDX-License-Identifier: Apache-2.0
// lf-agent: the health agent of nodes whose application knows nothing of us.
#include <atomic>
#include <csignal>

#include "tools/lf_agent/agent.hpp"

namespace {

std::atomic<bool> stop{false};

}  // namespace

int main(int argc, char** argv) {
  using namespace lf;
  const auto options = agent::parse_options(argc, argv);
  if (!options) return options.error();
  std::signal(SIGINT, [](int) { stop.store(true); });
  std::signal(SIGTERM, [](int) { stop.store(true); });

  agent::Agent agent(*options, stop);
  auto done = agent.open();
  if (done) done = agent.run();
  if (done) return 0;
  fmt::print(stderr, "lf-agent: {}\n", done.error().message);
  return 1;
}
