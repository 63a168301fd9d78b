// SPDX-License-Identifier: Apache-2.0
// Makes the commands of one thread: number i is always the same command, so that a retry needs no
// memory of the first transmission. Not shared between threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/lcp/codec.hpp"
#include "tools/common/key_ring.hpp"
#include "tools/lf_send/options.hpp"

namespace lf::send {

class CommandSource {
 public:
  // `run` tells runs apart, `thread` the threads of a run: both are in every command_id.
  CommandSource(const Options& options, uint64_t run, uint16_t thread);

  // The number in a command_id that this source made; kNotOurs for another's.
  static constexpr uint64_t kNotOurs = ~uint64_t{0};
  uint64_t number_of(const lcp::Id& command_id) const;
  lcp::Id id_of(uint64_t number) const;

  Fault fault_of(uint64_t number) const;
  bool is_duplicated(uint64_t number) const;
  const tools::Endpoint& target_of(uint64_t number) const {
    return options_.targets[number % options_.targets.size()];
  }

  uint32_t size_of(uint64_t number) const;
  // Fills a buffer of size_of(number) bytes: encoded, signed when there is a key, spoiled.
  void write(uint64_t number, uint8_t attempt, uint64_t deadline_us, std::span<uint8_t> out) const;

  // Signs a datagram with its organisation's key; leaves it untagged without one.
  void sign(std::span<uint8_t> datagram, uint32_t org) const;
  uint16_t key_id_of(uint32_t org) const;
  // False when the datagram is tagged with a key that is here and the tag is wrong.
  bool plausible(std::span<const uint8_t> datagram, const lcp::Message& message) const;

 private:
  lcp::Fields fields_of(uint64_t number) const;
  uint64_t random_of(uint64_t number, uint32_t purpose) const;
  const lcp::Signer* signer_of(uint32_t org, uint16_t key_id) const;

  const Options& options_;
  uint64_t run_;
  uint16_t thread_;
  std::optional<lcp::Signer> signer_for_all_;
  tools::KeyRing keys_;
};

}  // namespace lf::send
