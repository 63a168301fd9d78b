// SPDX-License-Identifier: Apache-2.0
#include "tools/lf_send/options.hpp"

#include <CLI/CLI.hpp>
#include <fstream>
#include <iterator>

#include "tools/common/command_line.hpp"
#include "tools/common/text.hpp"

namespace lf::send {
namespace {

constexpr std::string_view kFaultNames[kFaults] = {
    "none",    "tag",  "payload", "untagged", "key",      "org",      "magic",
    "version", "type", "flags",   "length",   "severity", "deadline", "truncated"};

// What CLI11 fills with text, before it is understood.
struct Raw {
  std::vector<std::string> targets, keys, corrupt, ids;
  std::string bind, orgs = "1", operators = "1", intents = "1", severities = "1", target_ids = "1";
  std::string key_file, payload_file, payload_text;
  std::string seconds;
  uint32_t payload_size = 0;
};

void add_common(CLI::App& app, Options& o, Raw& raw) {
  app.add_option("--target,-t", raw.targets,
                 "Address of the service, with or without a port (repeat for several)")
      ->required();
  app.add_option("--bind", raw.bind, "Address to send from");
  app.add_option("--org", raw.orgs, "Organisation ids: 1 or 1,2,7-9")->capture_default_str();
  app.add_option("--operator", raw.operators, "Operator ids")->capture_default_str();
  app.add_option("--key", raw.keys,
                 "32 hexadecimal digits for all organisations, or ORG:KEY_ID:HEX (repeat)");
  app.add_option("--key-id", o.key_id, "Key id of a --key for all organisations")
      ->capture_default_str();
  app.add_option("--key-file", raw.key_file, "File with a line ORG:KEY_ID:HEX for each key");
  app.add_option("--timeout-ms", o.timeout_ms, "Wait this long for an answer")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--json", o.json, "Write the summary as JSON to this file, or - for stdout");
  app.add_flag("--print", o.print, "Print each answer");
}

void add_pace(CLI::App& app, Options& o, Raw& raw) {
  app.add_option("--rate,-r", o.rate, "Commands a second; 0: as fast as possible")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--count,-n", o.count, "Stop after so many commands");
  app.add_option("--seconds,-s", raw.seconds,
                 "Stop after this time (10, 500ms, 2m); 10 s without this and --count");
  app.add_option("--window", o.window, "At most so many commands unanswered at once, a thread");
  app.add_option("--sockets", o.sockets, "Sockets to send from, a thread")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--threads", o.threads, "Threads that share the rate")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
}

void add_content(CLI::App& app, Options& o, Raw& raw) {
  app.add_option("--intent", raw.intents, "Intent codes")->capture_default_str();
  app.add_option("--severity", raw.severities, "Severities, 1..5")->capture_default_str();
  app.add_option("--target-id", raw.target_ids, "What commands are for")->capture_default_str();
  app.add_flag("--random", o.random, "Draw from the lists instead of going round");
  app.add_option("--seed", o.seed, "Of everything random")->capture_default_str();
  app.add_option("--run", o.run, "Number in every command id: the same one gives the same ids again");
  app.add_option("--payload", raw.payload_size, "Bytes after the header")
      ->check(CLI::Range(size_t{0}, lcp::kPayloadMax));
  app.add_option("--payload-text", raw.payload_text, "These bytes after the header");
  app.add_option("--payload-file", raw.payload_file, "This file's bytes after the header");
  app.add_option("--deadline-ms", o.deadline_ms, "Commands are worthless after")
      ->capture_default_str();
  app.add_flag("--want-reply", o.want_reply, "Ask the data plane to say when it refuses");
}

void add_behaviour(CLI::App& app, Options& o, Raw& raw) {
  app.add_option("--duplicates", o.duplicates,
                 "Percent of commands to send a second time, from another socket")
      ->check(CLI::Range(0.0, 100.0));
  app.add_option("--duplicate-delay-ms", o.duplicate_delay_ms, "How much later");
  app.add_option("--retries", o.retries, "Send again so often when no answer comes in time")
      ->check(CLI::Range(0, 255));
  app.add_flag("--retry-refused", o.retry_refused,
               "Retry, too, when the data plane says throttled, busy or unroutable");
  app.add_option("--hold-ms", o.hold_ms, "Wait this long for what follows a HELD")
      ->capture_default_str();
  app.add_option("--corrupt", raw.corrupt,
                 "KIND:PERCENT of commands to spoil (repeat). Kinds: tag payload untagged key org "
                 "magic version type flags length severity deadline truncated");
  app.add_option("--ids", o.ids_file, "Write `command_id status attempts` for each command");
  app.add_option("--expect-answered", o.expect_answered,
                 "Exit with 1 when fewer than this percent are answered")
      ->check(CLI::Range(0.0, 100.0));
  app.add_flag("--live", o.live, "One line a second on stderr");
}

Result<std::vector<uint8_t>> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::unavailable, "{}: cannot be read", path);
  return std::vector<uint8_t>(std::istreambuf_iterator<char>(file), {});
}

Result<void> understand_lists(const Raw& raw, Options& o) {
  const tools::NumberList lists[] = {{raw.orgs, 0xffffffff, o.orgs},
                                     {raw.operators, 0xffffffff, o.operators},
                                     {raw.intents, 0xff, o.intents},
                                     {raw.severities, 0xff, o.severities},
                                     {raw.target_ids, 0xffffffff, o.target_ids}};
  if (auto done = tools::parse_lists(lists); !done) return done;
  return {};
}

Result<void> understand_faults(const Raw& raw, Options& o) {
  for (const std::string& text : raw.corrupt) {
    const auto pieces = tools::split(text, ':');
    if (pieces.size() != 2) return fail(ErrorCode::invalid, "'{}' is not KIND:PERCENT", text);
    const auto fault = parse_fault(pieces[0]);
    if (!fault) return tl::unexpected(fault.error());
    const auto percent = tools::parse_decimal(pieces[1]);
    if (!percent) return tl::unexpected(percent.error());
    o.faults.push_back({*fault, *percent});
  }
  return {};
}

Result<void> understand(const Raw& raw, Options& o) {
  for (const std::string& text : raw.targets) {
    const auto e = tools::parse_endpoint(text, lcp::kDefaultPort);
    if (!e) return tl::unexpected(e.error());
    o.targets.push_back(*e);
  }
  if (!raw.bind.empty()) {
    auto e = tools::parse_endpoint(raw.bind, 0);
    if (!e) return tl::unexpected(e.error());
    o.bind = *e;
  }
  for (const std::string& text : raw.ids) {
    const auto id = tools::parse_hex16(text);
    if (!id) return tl::unexpected(id.error());
    o.ids.push_back(*id);
  }
  if (!raw.seconds.empty()) {
    const auto ns = tools::parse_duration_ns(raw.seconds);
    if (!ns) return tl::unexpected(ns.error());
    o.seconds = static_cast<double>(*ns) / 1e9;
  }
  if (o.count == 0 && o.seconds == 0) o.seconds = 10;
  o.payload.assign(raw.payload_size, 0x2e);
  if (!raw.payload_text.empty()) o.payload.assign(raw.payload_text.begin(), raw.payload_text.end());
  if (!raw.payload_file.empty()) {
    auto bytes = read_file(raw.payload_file);
    if (!bytes) return tl::unexpected(bytes.error());
    o.payload = std::move(*bytes);
  }
  if (o.payload.size() > lcp::kPayloadMax)
    return fail(ErrorCode::invalid, "a payload of {} bytes does not fit a datagram",
                o.payload.size());
  auto keys = tools::read_keys(raw.keys, raw.key_file);
  if (!keys) return tl::unexpected(keys.error());
  o.key = keys->for_all;
  o.keys = std::move(keys->specs);
  if (auto done = understand_lists(raw, o); !done) return done;
  return understand_faults(raw, o);
}

}  // namespace

std::string_view name_of(Fault fault) {
  return kFaultNames[static_cast<uint8_t>(fault)];
}

Result<Fault> parse_fault(std::string_view name) {
  for (uint32_t i = 1; i < kFaults; ++i)
    if (kFaultNames[i] == name) return static_cast<Fault>(i);
  return fail(ErrorCode::invalid, "'{}' is no way to spoil a command", name);
}

tl::expected<Options, int> parse_options(int argc, char** argv) {
  CLI::App app(
      "Reference client of the Lattice Command Protocol: sends commands at a steady rate "
      "and says what became of each.",
      "lf-send");
  Options o;
  Raw raw;
  auto* approve = app.add_subcommand("approve", "Send APPROVALs of held commands");
  auto* probe = app.add_subcommand("probe", "Send PROBEs and wait for their answers");
  approve->add_option("--id", raw.ids, "Held command's id in hexadecimal (repeat)")->required();
  add_common(*approve, o, raw);
  probe->add_option("--count,-n", o.count, "How many");
  add_common(*probe, o, raw);
  app.require_subcommand(0, 1);
  // Options of sending commands are not required when a subcommand is given.
  add_common(app, o, raw);
  app.get_option("--target")->required(false);
  add_pace(app, o, raw);
  add_content(app, o, raw);
  add_behaviour(app, o, raw);
  if (const auto parsed = tools::parse_command_line(app, argc, argv); !parsed)
    return tl::unexpected(parsed.error());
  if (approve->parsed()) o.mode = Mode::approve;
  if (probe->parsed()) o.mode = Mode::probe;
  if (o.mode == Mode::probe && o.count == 0) o.count = 1;
  Result<void> done = fail(ErrorCode::invalid, "--target is required");
  if (!raw.targets.empty()) done = understand(raw, o);
  if (!done) return tools::refuse(app, done.error());
  return o;
}

}  // namespace lf::send
