// SPDX-License-Identifier: Apache-2.0
// Bursts of arbitrary frames through the whole pipeline, with all that the packet tests have around
// it: every frame gets a verdict or is parked, the books balance after every burst and no buffer is
// lost (tests/packet/harness.hpp checks that); what is sent has right lengths and checksums.
#include <gtest/gtest.h>
#include <rte_eal.h>

#include <cstdlib>
#include <iterator>

#include "tests/fuzz/bursts.hpp"
#include "tests/packet/harness.hpp"

using namespace lf;

namespace {

// Bits of an input's setup.
constexpr uint8_t kWorkers = 1, kTags = 2 | 4, kQuota = 8, kReplay = 16, kAudit = 32, kFlows = 64,
                  kSmallMtu = 128;

void add_flow_services(config::Config& c) {
  config::Service s = test::service("web", fuzz::kVip4, {test::kNode4}, 21);
  s.kind = config::ServiceKind::flow;
  s.mode = forward::Mode::nat;
  s.port = s.nodes[0].port = 80;
  c.services.push_back(s);
  s.name += "-udp";
  s.nodes[0].name += "-udp";
  s.nodes[0].id += 100;
  s.protocol = config::Protocol::udp;
  c.services.push_back(s);
}

test::Rig::Change world_of(uint8_t setup) {
  return [setup](config::Config& c) {
    constexpr config::Authentication kModes[] = {
        config::Authentication::off, config::Authentication::optional,
        config::Authentication::required, config::Authentication::optional};
    for (config::Service& s : c.services) s.authentication = kModes[(setup & kTags) >> 1];
    if (setup & kQuota) c.organisations[0].quota.per_minute = 6;
    if (setup & kFlows) add_flow_services(c);
    c.ledger.entries = 64;
  };
}

test::Rig::Options options_of(uint8_t setup) {
  return {.kernel = true,
          .node_mtu = static_cast<uint16_t>(setup & kSmallMtu ? 200 : 1500),
          .audit_records = setup & kAudit ? 16u : 0u,
          .delay_packets = 4,
          .replay_packets = setup & kReplay ? 8u : 0u};
}

// What flows send is as right as what they got, and the kernel gets frames as they are.
void check(const test::Result& result, uint8_t setup) {
  if (setup & kFlows) return;
  for (const test::Sent& sent : result.sent)
    if (sent.port != test::kKernelPort && !test::check_frame(sent.frame).empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  GTEST_FLAG_SET(throw_on_failure, true);  // nobody catches it: a finding
  char program[] = "pipeline_fuzz", no_huge[] = "--no-huge", no_pci[] = "--no-pci",
       no_telemetry[] = "--no-telemetry", no_shconf[] = "--no-shconf", memory[] = "-m",
       megabytes[] = "64", cores[] = "-l", core[] = "0", quiet[] = "--log-level=error";
  char* eal[] = {program, no_huge,   no_pci, no_telemetry, no_shconf,
                 memory,  megabytes, cores,  core,         quiet};
  if (rte_eal_init(static_cast<int>(std::size(eal)), eal) < 0) std::abort();
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t room, unsigned seed) {
  return fuzz::mutate(data, size, room, seed);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const fuzz::Input input = fuzz::read(data, size);
  if (input.items.empty()) return 0;
  test::Rig::workers = input.setup & kWorkers ? 2 : 1;
  test::Rig rig(world_of(input.setup), options_of(input.setup));
  for (size_t k = 0; k < input.items.size();) {
    const fuzz::Item& first = input.items[k];
    if (first.number >= 128) check(rig.advance_ms(first.number), input.setup);
    rig.port_is_full = first.how & fuzz::kPortFull;
    rig.control_is_full = first.how & fuzz::kControlFull;
    std::vector<test::Bytes> frames;
    do frames.push_back(input.items[k].frame);
    while (++k < input.items.size() && !(input.items[k].how & fuzz::kNextBurst) &&
           frames.size() < kBurstMax);
    check(rig.run_frames(frames), input.setup);
  }
  rig.port_is_full = false;
  check(rig.advance_ms(1), input.setup);
  return 0;
}
