// SPDX-License-Identifier: Apache-2.0
// A batch of arbitrary bytes: nothing crashes, every row is counted once, and the outcome does not
// depend on how the text is cut into chunks. What is accepted can be made a packet.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "control/intake/batch.hpp"
#include "control/intake/packet.hpp"

namespace {

using namespace lf::intake;

constexpr int64_t kNowUs = 1'767'225'600'000'000;

void require(bool condition) {
  if (!condition) std::abort();
}

Batch sorted_out(const std::string& text, const OrgNames& orgs, size_t chunk_bytes) {
  auto batch = process(text_source(text), orgs,
                       {.now_us = kNowUs, .threads = 1, .chunk_bytes = chunk_bytes});
  require(batch.has_value());
  return std::move(*batch);
}

Directory directory() {
  lf::config::Config config;
  config.ports.push_back({.name = "p"});
  config.organisations.push_back({.name = "acme", .id = 1, .keys = {{.id = 1}}});
  config.services.push_back({.name = "s", .ip_version = 4});
  return make_directory(config, {{.name = "p", .id = 0}});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Directory names = directory();
  const std::string text(reinterpret_cast<const char*>(data), size);
  const Batch batch = sorted_out(text, names.orgs, 0);
  const Batch again = sorted_out(text, names.orgs, 16);
  require(batch.rows() == batch.size() + batch.duplicates() + batch.faults().size());
  require(batch.size() == again.size() && batch.errors() == again.errors());
  PacketMaker maker(names);
  for (size_t k = 0; k < batch.size(); ++k) {
    require(batch[k].row == again[k].row && batch[k].command_id == again[k].command_id);
    if (k != 0) require(batch.deadline_us(k - 1) <= batch.deadline_us(k));
    const Packet packet = maker.make(batch[k].row);
    require((packet.why_not == Unsendable::none) == !packet.frame.empty() ||
            packet.why_not == Unsendable::too_large);
  }
  return 0;
}
