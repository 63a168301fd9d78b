// SPDX-License-Identifier: Apache-2.0
#include "tools/lf_agent/options.hpp"

#include <CLI/CLI.hpp>

#include "dataplane/lcp/header.hpp"
#include "tools/common/command_line.hpp"
#include "tools/common/text.hpp"
#include "tools/lf_agent/layout.h"

namespace lf::agent {
namespace {

constexpr MonoNs kIntervalMin = 10'000'000, kIntervalMax = 3'600'000'000'000;

struct Raw {
  std::vector<std::string> listen, to, keys;
  std::string key_file, interval = "250ms", seconds;
};

void add_options(CLI::App& app, Options& o, Raw& raw) {
  app.add_option("--listen,-l", raw.listen,
                 "Watch the sockets of this port of the application: 7000/udp, 80/tcp (repeat)")
      ->required();
  app.add_option("--to,--report-to", raw.to, "Send REPORTs there: ADDRESS:PORT (repeat)");
  app.add_option("--node-id", o.node_id, "The node's id in REPORTs");
  app.add_option("--org,--key", raw.keys, "ORG:KEY_ID:HEX: the node's owner and its key");
  app.add_option("--key-file", raw.key_file,
                 "File with that in a line, so that the key is in no list of processes");
  app.add_option("--interval,-i", raw.interval, "Time between REPORTs")->capture_default_str();
  app.add_option("--seconds,-s", raw.seconds, "Stop after this time");
  app.add_flag("--once", o.once,
               "Read twice, an interval apart, print what would be reported, end");
  app.add_flag("--json", o.json, "Print every reading as a line of JSON");
}

Result<void> understand_owner(const Raw& raw, Options& o) {
  std::vector<tools::KeySpec> keys;
  if (auto done = tools::parse_each(raw.keys, keys, tools::parse_key_spec); !done) return done;
  if (!raw.key_file.empty()) {
    const auto specs = tools::read_key_file(raw.key_file);
    if (!specs) return tl::unexpected(specs.error());
    keys.insert(keys.end(), specs->begin(), specs->end());
  }
  if (keys.empty())
    return fail(ErrorCode::invalid, "needs a key (--org or --key-file): REPORTs are signed");
  if (keys.size() > 1) return fail(ErrorCode::invalid, "one key, not {}", keys.size());
  o.owner = keys.front();
  return {};
}

Result<void> understand(const Raw& raw, Options& o) {
  const auto endpoint = [](const std::string& text) {
    return tools::parse_endpoint(text, lcp::kDefaultPort);
  };
  if (auto done = tools::parse_each(raw.listen, o.listen, parse_watched_port); !done) return done;
  if (o.listen.size() > LF_AGENT_PORTS_MAX)
    return fail(ErrorCode::invalid, "at most {} ports", LF_AGENT_PORTS_MAX);
  if (auto done = tools::parse_each(raw.to, o.to, endpoint); !done) return done;
  const auto interval = tools::parse_duration_ns(raw.interval);
  if (!interval) return tl::unexpected(interval.error());
  if (*interval < kIntervalMin || *interval > kIntervalMax)
    return fail(ErrorCode::invalid, "--interval is 10ms to 60m, not {}", raw.interval);
  o.interval_ns = *interval;
  if (!raw.seconds.empty()) {
    const auto ns = tools::parse_duration_ns(raw.seconds);
    if (!ns) return tl::unexpected(ns.error());
    o.run_ns = *ns;
  }
  if (o.once) return {};
  if (o.to.empty()) return fail(ErrorCode::invalid, "needs --to, or --once");
  if (o.node_id == 0) return fail(ErrorCode::invalid, "needs --node-id");
  return understand_owner(raw, o);
}

}  // namespace

tl::expected<Options, int> parse_options(int argc, char** argv) {
  CLI::App app(
      "Reports on a node whose application knows nothing of LatticeForge: reads what waits in its "
      "sockets in the kernel (BPF) and the pressure on the CPUs, and sends REPORTs. docs/agent.md",
      "lf-agent");
  Options o;
  Raw raw;
  add_options(app, o, raw);
  if (const auto parsed = tools::parse_command_line(app, argc, argv); !parsed)
    return tl::unexpected(parsed.error());
  if (const auto done = understand(raw, o); !done) return tools::refuse(app, done.error());
  return o;
}

}  // namespace lf::agent
