// SPDX-License-Identifier: Apache-2.0
// What lf-send is asked to do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/base/result.hpp"
#include "dataplane/lcp/codec.hpp"
#include "tools/common/key_ring.hpp"
#include "tools/common/udp.hpp"

namespace lf::send {

enum class Mode : uint8_t { commands, approve, probe };

// Ways to spoil a datagram; each is to be refused under a reason of its own.
enum class Fault : uint8_t {
  none,
  tag,       // one bit of the tag
  payload,   // one bit of the signed bytes
  untagged,  // no tag
  key,       // a key id that nobody has
  org,       // an organisation that nobody is
  magic,
  version,
  type,
  flags,
  length,     // payload_length one too large
  severity,   // 9
  deadline,   // passed already
  truncated,  // one byte short of a header
};
inline constexpr uint32_t kFaults = 14;
std::string_view name_of(Fault fault);
Result<Fault> parse_fault(std::string_view name);

struct FaultShare {
  Fault fault = Fault::none;
  double percent = 0;
};

struct Options {
  Mode mode = Mode::commands;
  std::vector<tools::Endpoint> targets;
  std::optional<tools::Endpoint> bind;

  double rate = 1000;    // commands a second; 0: as fast as window and socket allow
  uint64_t count = 0;    // 0: no limit
  double seconds = 0;    // 0: no limit
  uint32_t window = 0;   // commands unanswered at once; 0: no limit
  uint32_t sockets = 1;  // a thread
  uint32_t threads = 1;

  std::vector<uint32_t> orgs{1}, operators{1}, intents{1}, severities{1}, target_ids{1};
  bool random = false;  // else round robin over all combinations
  uint64_t seed = 1;
  std::optional<uint64_t> run;       // nothing: random, so that no two runs have an id in common
  std::vector<lcp::Id> ids;          // approve: of held commands
  std::optional<lcp::KeyBytes> key;  // for every organisation
  uint16_t key_id = 1;               // of `key`
  std::vector<tools::KeySpec> keys;  // by organisation
  std::vector<uint8_t> payload;
  uint64_t deadline_ms = 10'000;
  bool want_reply = false;

  double duplicates = 0;  // percent of commands sent a second time as they are
  uint32_t duplicate_delay_ms = 0;
  uint32_t retries = 0;
  uint32_t timeout_ms = 1000;
  bool retry_refused = false;
  uint32_t hold_ms = 5000;  // how long to wait for what follows HELD
  std::vector<FaultShare> faults;

  std::string json;  // file, - for standard output
  std::string ids_file;
  double expect_answered = 0;  // percent
  bool print = false;
  bool live = false;
};

// Parses the command line. On --help or a mistake prints and returns the exit status.
tl::expected<Options, int> parse_options(int argc, char** argv);

}  // namespace lf::send
