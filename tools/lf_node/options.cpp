// SPDX-License-Identifier: Apache-2.0
#include "tools/lf_node/options.hpp"

#include <CLI/CLI.hpp>

#include "dataplane/lcp/header.hpp"
#include "tools/common/command_line.hpp"
#include "tools/common/text.hpp"

namespace lf::node {
namespace {

struct Raw {
  std::vector<std::string> listen, report_to, keys, set;
  std::string reply_from, key_file, script, seconds;
};

void add_options(CLI::App& app, Options& o, Raw& raw) {
  app.add_option("--listen,-l", raw.listen, "Address to listen on, with or without a port (repeat)")
      ->required();
  app.add_option("--reply-from", raw.reply_from,
                 "Answer from this address (the service's, for dsr and encapsulation)");
  app.add_option("--node-id", o.node_id, "The node's id in REPORTs");
  app.add_option("--org,--key", raw.keys,
                 "ORG:KEY_ID:HEX: a key to check and make tags with (repeat); the first one's "
                 "organisation owns the node and signs its REPORTs");
  app.add_option("--key-file", raw.key_file, "File with a line ORG:KEY_ID:HEX for each key");
  app.add_flag("--require-tag", o.require_tag, "Ignore commands without a tag");
  app.add_option("--report-to", raw.report_to, "Send REPORTs there (repeat)");
  app.add_option("--report-ms", o.report_ms, "Time between REPORTs")
      ->check(CLI::Range(10, 3'600'000))
      ->capture_default_str();
  app.add_option("--reply-bytes", o.reply_bytes, "Own bytes after the body of a REPLY")
      ->check(CLI::Range(0, 8192));
  app.add_option("--set", raw.set,
                 "Behaviour: \"capacity=300 queue=100 service_ms=2 jitter=10 fail=1 busy=1 "
                 "silent=1 saturation=0.5 degraded=1 draining=1 report=0 probes=0 tag_replies=0\"");
  app.add_option("--script", raw.script,
                 "Changes of behaviour: \"10s capacity=300; 20s silent=100\"");
  app.add_option("--control", o.control, "Unix socket that takes lines: set NAME VALUE, get, stop");
  app.add_flag("--stdin", o.read_stdin, "Take such lines from standard input, too");
  app.add_option("--seconds,-s", raw.seconds, "Stop after this time");
  app.add_option("--seed", o.seed, "Of everything random");
  app.add_option("--json", o.json, "Write the summary as JSON to this file, or - for stdout");
  app.add_option("--ids", o.ids, "Write `command_id deliveries` for each command");
}

Result<void> understand(const Raw& raw, Options& o) {
  const auto endpoint = [](const std::string& text) {
    return tools::parse_endpoint(text, lcp::kDefaultPort);
  };
  if (auto done = tools::parse_each(raw.listen, o.listen, endpoint); !done) return done;
  if (auto done = tools::parse_each(raw.report_to, o.report_to, endpoint); !done) return done;
  if (auto done = tools::parse_each(raw.keys, o.keys, tools::parse_key_spec); !done) return done;
  if (!raw.key_file.empty()) {
    const auto specs = tools::read_key_file(raw.key_file);
    if (!specs) return tl::unexpected(specs.error());
    o.keys.insert(o.keys.end(), specs->begin(), specs->end());
  }
  if (!raw.reply_from.empty()) {
    // Without a port of its own it is the port that we listen on.
    auto from = tools::parse_endpoint(raw.reply_from, o.listen.front().port());
    if (!from) return tl::unexpected(from.error());
    o.reply_from = *from;
  }
  for (const std::string& text : raw.set)
    if (auto done = o.behaviour.set_all(text); !done) return done;
  auto script = parse_script(raw.script);
  if (!script) return tl::unexpected(script.error());
  o.script = std::move(*script);
  if (!raw.seconds.empty()) {
    const auto ns = tools::parse_duration_ns(raw.seconds);
    if (!ns) return tl::unexpected(ns.error());
    o.seconds = static_cast<double>(*ns) / 1e9;
  }
  if (!o.report_to.empty() && o.keys.empty())
    return fail(ErrorCode::invalid, "--report-to needs a key (--org): REPORTs are signed");
  return {};
}

}  // namespace

tl::expected<Options, int> parse_options(int argc, char** argv) {
  CLI::App app(
      "Reference node of the Lattice Command Protocol: takes commands and answers them, "
      "as well or as badly as it is told to.",
      "lf-node");
  Options o;
  Raw raw;
  add_options(app, o, raw);
  if (const auto parsed = tools::parse_command_line(app, argc, argv); !parsed)
    return tl::unexpected(parsed.error());
  if (const auto done = understand(raw, o); !done) return tools::refuse(app, done.error());
  return o;
}

}  // namespace lf::node
