// SPDX-License-Identifier: Apache-2.0
#include "tools/lf_gen/options.hpp"

#include <CLI/CLI.hpp>

#include "control/base/address.hpp"
#include "dataplane/lcp/codec.hpp"
#include "tools/common/command_line.hpp"
#include "tools/common/text.hpp"
#include "tools/lf_gen/frames.hpp"

namespace lf::gen {
namespace {

// What CLI11 fills with text, before it is understood.
struct Raw {
  std::string orgs = "1", operators = "1", intents = "1", severities = "1", target_ids = "1";
  std::vector<std::string> keys;
  std::string key_file, source = "10.7.0.2", target = "10.7.0.1", target_mac = "02:00:00:00:00:01";
  std::string sizes, seconds;
  bool plain = false;
};

void add_trial(CLI::App& app, Trial& t, Raw& raw) {
  app.add_option("--rate,-r", t.rate, "Frames a second; 0: as fast as the port takes them")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--seconds,-s", raw.seconds, "How long to send (10, 500ms, 2m); default 1");
  app.add_option("--count,-n", t.count, "Stop after so many frames");
  app.add_option("--size", raw.sizes,
                 "Bytes of a frame with its check sequence, or a list taken in turn "
                 "(128,256,1024-1028); default 128, or the smallest that there is");
  app.add_option("--drain-ms", t.drain_ms, "Wait so long for what is still on its way")
      ->capture_default_str();
  app.add_option("--catch-up-us", t.catch_up_us,
                 "A frame that is late by more is counted as slipped and not sent")
      ->capture_default_str();
  app.add_flag("--buckets,!--no-buckets", t.buckets, "Print latency histograms whole");
}

void add_content(CLI::App& app, Content& c, Raw& raw) {
  app.add_flag("--plain", raw.plain, "Plain UDP instead of LCP commands");
  app.add_option("--org", raw.orgs, "Organisation ids: 1 or 1,2,7-9")->capture_default_str();
  app.add_option("--operator", raw.operators, "Operator ids")->capture_default_str();
  app.add_option("--intent", raw.intents, "Intent codes")->capture_default_str();
  app.add_option("--severity", raw.severities, "Severities, 1..5")->capture_default_str();
  app.add_option("--target-id", raw.target_ids, "What commands are for")->capture_default_str();
  app.add_option("--key", raw.keys,
                 "32 hexadecimal digits for all organisations, or ORG:KEY_ID:HEX (repeat); "
                 "commands of organisations without a key go untagged");
  app.add_option("--key-file", raw.key_file, "File with a line ORG:KEY_ID:HEX for each key");
  app.add_option("--deadline-ms", c.deadline_ms, "Commands are worthless after")
      ->capture_default_str();
  app.add_option("--flows", c.flows, "Different source addresses and ports")
      ->check(CLI::Range(1u, 16'000'000u))
      ->capture_default_str();
  app.add_option("--source", raw.source, "First source address, IPv4 or IPv6")
      ->capture_default_str();
  app.add_option("--target,-t", raw.target, "Address of the service, of the same family")
      ->capture_default_str();
  app.add_option("--target-port", c.target_port, "UDP port of the service")->capture_default_str();
  app.add_option("--target-mac", raw.target_mac, "MAC address of the data plane's port")
      ->capture_default_str();
  app.add_option("--vlan", c.vlan, "VLAN of all frames; 0: untagged")
      ->check(CLI::Range(0, 4094))
      ->capture_default_str();
}

void add_process(CLI::App& app, Options& o) {
  app.add_option("--port,-p", o.ports,
                 "DPDK device: PCI address, or net_memif0,…, net_af_xdp0,…; the first one sends, "
                 "all receive (repeat)")
      ->required();
  app.add_flag("--answer", o.answer, "Answer commands and probes as the nodes would");
  app.add_flag("--serve", o.serve, "Read trials from standard input, a line of options each");
  app.add_option("--cpu", o.cpu, "CPU to run on")->capture_default_str();
  app.add_option("--burst", o.burst, "Frames sent and received at once")
      ->check(CLI::Range(1u, kFramesMax))
      ->capture_default_str();
  app.add_option("--memory", o.memory_mb, "MiB for DPDK")->capture_default_str();
  app.add_option("--mbufs", o.mbufs, "Buffers to send from, and as many to receive into")
      ->check(CLI::Range(1024u, 4'000'000u))
      ->capture_default_str();
  app.add_option("--descriptors", o.descriptors, "Of each queue")->capture_default_str();
  app.add_option("--link-wait", o.link_wait_s, "Seconds to wait for the links")
      ->capture_default_str();
  app.add_flag("--hugepages", o.hugepages, "Use huge pages (NICs need them)");
  app.add_option("--eal", o.eal, "Further EAL argument (repeat)");
}

Result<ParsedAddress> parse_ip(const std::string& text) {
  const auto address = parse_address(text);
  if (!address) return fail(ErrorCode::invalid, "'{}' is not an IP address", text);
  return *address;
}

Result<void> understand_trial(const Raw& raw, const Content& content, Trial& t) {
  if (!raw.sizes.empty()) {
    auto sizes = tools::parse_list(raw.sizes, kSizeMax);
    if (!sizes) return tl::unexpected(sizes.error());
    t.sizes = std::move(*sizes);
  }
  if (!raw.seconds.empty()) {
    const auto ns = tools::parse_duration_ns(raw.seconds);
    if (!ns) return tl::unexpected(ns.error());
    t.seconds = static_cast<double>(*ns) / 1e9;
  }
  for (const uint32_t size : t.sizes) {
    if (size < size_min(content))
      return fail(ErrorCode::invalid, "a frame of {} bytes is too small: at least {}", size,
                  size_min(content));
  }
  return {};
}

Result<void> understand_content(const Raw& raw, Content& c) {
  c.traffic = raw.plain ? Traffic::plain : Traffic::commands;
  const tools::NumberList lists[] = {{raw.orgs, 0xffffffff, c.orgs},
                                     {raw.operators, 0xffffffff, c.operators},
                                     {raw.intents, 0xff, c.intents},
                                     {raw.severities, 0xff, c.severities},
                                     {raw.target_ids, 0xffffffff, c.target_ids}};
  if (auto done = tools::parse_lists(lists); !done) return done;
  const auto source = parse_ip(raw.source), target = parse_ip(raw.target);
  if (!source) return tl::unexpected(source.error());
  if (!target) return tl::unexpected(target.error());
  if (source->ip_version != target->ip_version)
    return fail(ErrorCode::invalid, "'{}' and '{}' are of two families: --source, --target",
                raw.source, raw.target);
  c.source = source->address;
  c.target = target->address;
  if (rte_ether_unformat_addr(raw.target_mac.c_str(), &c.target_mac) != 0)
    return fail(ErrorCode::invalid, "'{}' is not a MAC address", raw.target_mac);
  auto keys = tools::read_keys(raw.keys, raw.key_file);
  if (!keys) return tl::unexpected(keys.error());
  c.key = keys->for_all;
  c.keys = std::move(keys->specs);
  return {};
}

}  // namespace

Layout layout_of(const Content& content) {
  return {.tagged = content.vlan != 0,
          .ip_version = is_ipv4(content.target) ? uint8_t{4} : uint8_t{6}};
}

uint32_t size_min(const Content& content) {
  const uint32_t header =
      content.traffic == Traffic::commands ? sizeof(lcp::Header) : sizeof(Marker);
  return std::max(64u, layout_of(content).content_at() + header + kCheckSequence);
}

tl::expected<Options, int> parse_options(int argc, char** argv) {
  CLI::App app(
      "Sends LCP commands or plain UDP through DPDK ports at a given rate, takes what comes back "
      "and "
      "says what was lost, came twice and how long it took. One core.",
      "lf-gen");
  Options o;
  Raw raw;
  add_process(app, o);
  add_trial(app, o.trial, raw);
  add_content(app, o.content, raw);
  if (const auto parsed = tools::parse_command_line(app, argc, argv); !parsed)
    return tl::unexpected(parsed.error());
  auto done = understand_content(raw, o.content);
  o.trial.sizes = {std::max(kSizeDefault, size_min(o.content))};
  if (done) done = understand_trial(raw, o.content, o.trial);
  if (!done) return tools::refuse(app, done.error());
  return o;
}

Result<Trial> parse_trial(const std::string& line, const Options& defaults) {
  CLI::App app("", "");
  Trial trial = defaults.trial;
  Raw raw;
  add_trial(app, trial, raw);
  try {
    app.parse(line, false);
  } catch (const CLI::ParseError& e) {
    return fail(ErrorCode::invalid, "'{}': {}", line, e.what());
  }
  if (auto done = understand_trial(raw, defaults.content, trial); !done)
    return tl::unexpected(done.error());
  return trial;
}

}  // namespace lf::gen
