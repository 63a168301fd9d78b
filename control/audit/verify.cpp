// SPDX-License-Identifier: Apache-2.0
// Walks the chain of an audit directory and says where it is broken.
#include <fstream>
#include <map>

#include "control/audit/segment.hpp"

namespace lf::audit {
namespace {

class Verifier {
 public:
  explicit Verifier(const std::string& directory) : directory_(directory) {}

  VerifyReport run() {
    ReadHooks hooks;
    hooks.segment = [this](const SegmentFile& f, const SegmentHeader& h) { return segment(f, h); };
    hooks.block = [this](const BlockPlace& p, const BlockHeader& h, std::string_view body) {
      return block(p, h, body);
    };
    hooks.torn = [this](const SegmentFile& f, uint64_t offset, uint64_t bytes) {
      fault(
          fmt::format("{}: {} bytes from offset {} on are no whole block", f.path, bytes, offset));
    };
    (void)read_blocks(directory_, hooks);
    check_head();
    report_.intact = report_.fault.empty();
    return report_;
  }

 private:
  // The first one counts: what is behind it hangs on it.
  bool fault(std::string text) {
    if (report_.fault.empty()) report_.fault = std::move(text);
    return false;
  }

  bool segment(const SegmentFile& f, const SegmentHeader& h) {
    if (std::string_view(h.magic, 8) != "LFAUDIT1" || h.number != f.number)
      return fault(fmt::format("{}: offset 0: not the header of segment {}", f.path, f.number));
    if (report_.segments++ == 0) {
      report_.first_segment = f.number;
      last_ = h.previous;  // what came before is gone
    } else if (f.number != number_ + 1) {
      return fault(fmt::format("{}: segment {} is missing", f.path, number_ + 1));
    } else if (h.previous != last_) {
      return fault(fmt::format("{}: offset 16: does not follow the last block of segment {}",
                               f.path, number_));
    }
    number_ = f.number;
    return true;
  }

  bool block(const BlockPlace& p, const BlockHeader& h, std::string_view body) {
    const std::string where =
        fmt::format("{}: block {} at offsets {}..{} (worker {}, decisions {}..{})", p.path, p.index,
                    p.offset, p.offset + sizeof(h) + body.size() - 1, h.worker, h.first_sequence,
                    h.end_sequence - (h.end_sequence > h.first_sequence));
    if (h.previous != last_) return fault(where + ": does not follow the block before it");
    if (hash_of(h, body) != h.hash) return fault(where + ": was changed: its hash is wrong");
    const auto records = unpack(h, body);
    if (!records) return fault(where + ": " + records.error().message);
    if (!sequence(h, *records)) return fault(where + ": its sequence numbers have an unnamed gap");
    last_ = h.hash;
    ++report_.blocks;
    report_.records += h.count;
    return true;
  }

  bool sequence(const BlockHeader& h, const std::vector<Record>& records) {
    for (const Record& r : records) {
      report_.decisions += r.kind == RecordKind::decision;
      if (r.kind != RecordKind::gap) continue;
      const GapInfo gap = gap_of(r);
      ++report_.gaps;
      report_.lost += gap.last - gap.first + 1;
    }
    const auto [it, first] = next_.try_emplace({h.run_us, h.worker}, h.first_sequence);
    // The first block that is there of a run may follow removed ones.
    if (!first && it->second != h.first_sequence) return false;
    it->second = h.end_sequence;
    return end_sequence(records, h.first_sequence) == h.end_sequence;
  }

  // Blocks cut off at the end leave a chain that is whole, but not the one that was announced.
  void check_head() {
    std::ifstream file(directory_ + "/" + kChainHead);
    std::string announced;
    if (report_.blocks == 0 && !file) return;
    if (!(file >> announced))
      fault(directory_ + "/" + kChainHead + ": is missing");
    else if (announced != to_hex(last_))
      fault(
          fmt::format("{}/{}: names another block than the last one of segment {}: the end of "
                      "the log is missing",
                      directory_, kChainHead, number_));
  }

  std::string directory_;
  VerifyReport report_;
  Hash last_{};
  uint64_t number_ = 0;
  std::map<std::pair<uint64_t, uint8_t>, uint64_t> next_;  // (run, worker) -> sequence
};

}  // namespace

VerifyReport verify(const std::string& directory) {
  return Verifier(directory).run();
}

}  // namespace lf::audit
