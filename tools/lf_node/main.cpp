// SPDX-License-Identifier: Apache-2.0
// lf-node: the reference node. Runs until it is told to stop, then writes what it saw.
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "tools/lf_node/node.hpp"

namespace {

using namespace lf;

std::atomic<bool> stop{false};

bool write_text(const std::string& path, const std::string& text) {
  std::FILE* f = std::fopen(path.c_str(), "w");
  if (!f) {
    fmt::print(stderr, "lf-node: {}: {}\n", path, std::strerror(errno));
    return false;
  }
  std::fwrite(text.data(), 1, text.size(), f);
  return std::fclose(f) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = node::parse_options(argc, argv);
  if (!options) return options.error();
  std::signal(SIGINT, [](int) { stop.store(true); });
  std::signal(SIGTERM, [](int) { stop.store(true); });
  std::signal(SIGPIPE, SIG_IGN);

  node::Node node(*options, stop);
  if (auto opened = node.open(); !opened) {
    fmt::print(stderr, "lf-node: {}\n", opened.error().message);
    return 1;
  }
  node.run();

  bool written = true;
  const std::string json = to_json(node.summary(), node.seen(), 1) + "\n";
  if (options->json == "-")
    fmt::print("{}", json);
  else if (!options->json.empty())
    written &= write_text(options->json, json);
  if (!options->ids.empty()) written &= write_text(options->ids, node.seen().to_text());
  if (options->json != "-")
    fmt::print("{} commands received, {} unique, {} delivered twice, {} answered\n",
               node.summary().received, node.seen().unique(), node.seen().delivered_twice(),
               node.summary().answered);
  return written ? 0 : 1;
}
