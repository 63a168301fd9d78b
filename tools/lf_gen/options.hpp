// SPDX-License-Identifier: Apache-2.0
// What lf-gen is asked to do. Content and ports are the same for the life of the process; trials
// may follow one another (--serve), each with its own rate, length and frame sizes.
#pragma once

#include <rte_ether.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/base/result.hpp"
#include "dataplane/core/burst.hpp"
#include "dataplane/lcp/header.hpp"
#include "tools/common/key_ring.hpp"
#include "tools/lf_gen/layout.hpp"

namespace lf::gen {

// Bytes of a frame with its check sequence, as RFC 2544 and Pktgen count them; DPDK's length is
// 4 less.
inline constexpr uint32_t kCheckSequence = 4;
inline constexpr uint32_t kSizeDefault = 128;
inline constexpr uint32_t kSizeMax = 1518;

enum class Traffic : uint8_t {
  commands,  // LCP
  plain,     // UDP, for flow services
};

struct Content {
  Traffic traffic = Traffic::commands;
  std::vector<uint32_t> orgs{1}, operators{1}, intents{1}, severities{1}, target_ids{1};
  std::optional<lcp::KeyBytes> key;  // for every organisation, under key id 1
  std::vector<tools::KeySpec> keys;  // by organisation
  uint64_t deadline_ms = 60'000;
  uint32_t flows = 64;  // different (source address, source port)
  IpAddress source;     // of the first flow
  IpAddress target;     // of the same family
  uint16_t target_port = lcp::kDefaultPort;
  rte_ether_addr target_mac{};
  uint16_t vlan = 0;  // 0: untagged
};
Layout layout_of(const Content& content);

struct Trial {
  double rate = 1000;  // frames a second; 0: as fast as the port takes them
  double seconds = 1;
  uint64_t count = 0;  // 0: no limit but the time
  std::vector<uint32_t> sizes{kSizeDefault};
  uint32_t drain_ms = 200;     // wait so long for what is still on its way
  uint32_t catch_up_us = 500;  // frames that are late by more are not sent at all
  bool buckets = false;        // print histograms whole
};

struct Options {
  Content content;
  Trial trial;
  std::vector<std::string> ports;  // the first sends; all receive
  bool answer = false;             // answer commands as the nodes do
  bool serve = false;              // trials from standard input
  uint32_t cpu = 0;
  uint32_t burst = 32;
  uint32_t memory_mb = 256;
  uint32_t mbufs = 16384;  // of each of the two pools
  uint32_t descriptors = 1024;
  uint32_t link_wait_s = 10;
  bool hugepages = false;
  std::vector<std::string> eal;
};

// Smallest frame that holds what it must, with check sequence.
uint32_t size_min(const Content& content);

// Parses the command line. On --help or a mistake prints and returns the exit status.
tl::expected<Options, int> parse_options(int argc, char** argv);

// One line of --serve: options of a trial ("--rate 1e6 --seconds 2 --size 256"), the others as in
// `defaults`.
Result<Trial> parse_trial(const std::string& line, const Options& defaults);

}  // namespace lf::gen
