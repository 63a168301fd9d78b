// SPDX-License-Identifier: Apache-2.0
#include "control/policy/compile.hpp"

#include <hs/hs.h>

#include <algorithm>
#include <bit>
#include <optional>

#include "control/policy/patterns.hpp"
#include "control/policy/sums.hpp"
#include "dataplane/policy/sums.hpp"

namespace lf::policy {
namespace {

// A value of a packet while the program is being put together: a slot, its classes' bitmaps, and
// the dimensions that went into it.
struct Part {
  uint8_t slot = 0;
  uint32_t dims = 0;
  std::vector<Bits> rows;
};

class Compiler {
 public:
  Compiler(const RuleSet& rules, const OrgIds& orgs, const CompileLimits& limits)
      : rules_(rules), orgs_(orgs), limits_(limits), program_(std::make_shared<Program>()) {}

  Result<std::shared_ptr<Program>> run();

 private:
  std::optional<Error> check();
  void add_rows();
  void group_small(std::vector<ClassMap>& maps);
  void add_single(ClassMap&& map);
  void merge_parts();
  bool merge_pair(size_t a, size_t b);
  void add_final(const Part& part);
  void add_first_rows(const Part& part);
  void cut(Bits& bits, uint32_t dims) const;
  uint64_t bytes() const;

  const RuleSet& rules_;
  const OrgIds& orgs_;
  const CompileLimits& limits_;
  std::shared_ptr<Program> program_;
  RowList list_;
  std::vector<uint32_t> constrained_;  // by row
  std::vector<Part> parts_;
  uint8_t slots_ = 0;
};

std::optional<Error> Compiler::check() {
  if (std::popcount(list_.role_mask) > kRolesMentionedMax)
    return Error{ErrorCode::invalid,
                 fmt::format("rules mention {} roles, at most {} fit",
                             std::popcount(list_.role_mask), kRolesMentionedMax)};
  if (list_.rows.size() > kRowsMax)
    return Error{ErrorCode::invalid, fmt::format("more than {} alternatives", kRowsMax)};
  return std::nullopt;
}

void Compiler::add_rows() {
  for (size_t n = 0; n < rules_.rules.size(); ++n)
    for (const Condition& c : rules_.rules[n].alternatives) {
      Row row;
      row.rule = static_cast<uint16_t>(n + 1);
      row.outcome = static_cast<uint8_t>(rules_.rules[n].outcome);
      if (c.patterns.mentioned()) {
        row.flags = Row::kHasPattern;
        row.pattern = static_cast<uint32_t>(program_->pattern_tests.size());
        program_->pattern_tests.push_back({c.patterns.any, c.patterns.all, c.patterns.none});
      }
      program_->rows.push_back(row);
      constrained_.push_back(constrained_dims(c));
    }
}

// Behind the first row that only these dimensions constrain nothing can match any more: whatever
// the other dimensions say, that row comes first. Clearing what is behind makes more bitmaps equal.
void Compiler::cut(Bits& bits, uint32_t dims) const {
  for (size_t w = 0; w < bits.size(); ++w)
    for (uint64_t left = bits[w]; left; left &= left - 1) {
      const uint32_t r = static_cast<uint32_t>(w * 64) + std::countr_zero(left);
      if (constrained_[r] & ~dims) continue;
      bits[w] &= ~uint64_t{0} >> (63 - r % 64);
      std::fill(bits.begin() + static_cast<ptrdiff_t>(w) + 1, bits.end(), 0);
      return;
    }
}

// Workers look bytes up without a test of their range: larger values are as the last that rules
// tell apart.
void fill_up(Leaf& leaf) {
  if (leaf.dim == Dim::clearance || leaf.dim == Dim::mfa || leaf.dim == Dim::severity)
    leaf.table.resize(256, leaf.table.back());
}

// Takes dimensions, the one with the fewest classes first, into one slot as long as the product of
// their numbers of classes is small: their leaves add up to an index into one table.
void Compiler::group_small(std::vector<ClassMap>& maps) {
  std::sort(maps.begin(), maps.end(),
            [](const ClassMap& a, const ClassMap& b) { return a.rows.size() < b.rows.size(); });
  size_t taken = 0;
  uint64_t product = 1;
  while (taken < maps.size() && product * maps[taken].rows.size() <= limits_.group_entries)
    product *= maps[taken++].rows.size();
  if (taken == 0) return;  // a group of none would be one final more than there are dimensions
  Part part{slots_++, 0, {}};
  std::vector<uint16_t> table = {0};
  std::vector<Bits> rows = {Bits(list_.words(), ~uint64_t{0})};
  if (list_.rows.size() % 64) rows[0].back() = ~uint64_t{0} >> (64 - list_.rows.size() % 64);
  uint64_t multiplier = product;
  for (size_t d = 0; d < taken; ++d) {
    ClassMap& map = maps[d];
    const uint32_t n = static_cast<uint32_t>(map.rows.size());
    multiplier /= n;
    part.dims |= 1u << static_cast<uint32_t>(map.dim);
    Leaf leaf{map.dim, part.slot, {}};
    for (const uint32_t c : map.of_value)
      leaf.table.push_back(static_cast<uint16_t>(c * multiplier));
    fill_up(leaf);
    if (n > 1) program_->leaves.push_back(std::move(leaf));
    BitmapSet set;
    std::vector<uint32_t> merged(rows.size() * n);
    for (size_t a = 0; a < rows.size(); ++a)
      for (uint32_t b = 0; b < n; ++b) {
        Bits bits = rows[a] & map.rows[b];
        cut(bits, part.dims);
        merged[a * n + b] = set.intern(std::move(bits));
      }
    std::vector<uint16_t> wider;
    wider.reserve(table.size() * n);
    for (const uint16_t a : table)
      for (uint32_t b = 0; b < n; ++b)
        wider.push_back(static_cast<uint16_t>(merged[size_t{a} * n + b]));
    table = std::move(wider);
    rows = set.take();
  }
  maps.erase(maps.begin(), maps.begin() + static_cast<ptrdiff_t>(taken));
  if (program_->leaves.empty())  // the slot must be written by something
    program_->leaves.push_back({Dim::comms, part.slot, {0, 0}});
  program_->merges.push_back({part.slot, part.slot, Merge::kNoSlot, 1, std::move(table)});
  part.rows = std::move(rows);
  parts_.push_back(std::move(part));
}

void Compiler::add_single(ClassMap&& map) {
  Part part{slots_++, 1u << static_cast<uint32_t>(map.dim), {}};
  BitmapSet set;
  std::vector<uint32_t> renumber;
  for (Bits& bits : map.rows) {
    cut(bits, part.dims);
    renumber.push_back(set.intern(std::move(bits)));
  }
  Leaf leaf{map.dim, part.slot, {}};
  for (const uint32_t c : map.of_value) leaf.table.push_back(static_cast<uint16_t>(renumber[c]));
  fill_up(leaf);
  program_->leaves.push_back(std::move(leaf));
  part.rows = set.take();
  parts_.push_back(std::move(part));
}

// Merges the pair with the smallest product as long as one fits into the limits.
void Compiler::merge_parts() {
  std::vector<std::pair<uint8_t, uint8_t>> failed;  // slots
  for (;;) {
    size_t best_a = 0, best_b = 0;
    uint64_t best = limits_.merge_entries + 1;
    for (size_t a = 0; a < parts_.size(); ++a)
      for (size_t b = a + 1; b < parts_.size(); ++b) {
        const uint64_t product = parts_[a].rows.size() * parts_[b].rows.size();
        const std::pair<uint8_t, uint8_t> slots{parts_[a].slot, parts_[b].slot};
        const bool tried = std::find(failed.begin(), failed.end(), slots) != failed.end();
        if (product < best && !tried) best = product, best_a = a, best_b = b;
      }
    if (best > limits_.merge_entries) return;
    if (!merge_pair(best_a, best_b)) failed.emplace_back(parts_[best_a].slot, parts_[best_b].slot);
  }
}

bool Compiler::merge_pair(size_t a, size_t b) {
  const Part& pa = parts_[a];
  const Part& pb = parts_[b];
  const uint64_t row_bytes = list_.words() * 8;
  const size_t classes_max = std::min<uint64_t>(limits_.merge_bytes / row_bytes, 65'535);
  Part part{slots_, pa.dims | pb.dims, {}};
  Merge merge{slots_, pa.slot, pb.slot, static_cast<uint32_t>(pb.rows.size()), {}};
  merge.table.reserve(pa.rows.size() * pb.rows.size());
  BitmapSet set;
  for (const Bits& ra : pa.rows)
    for (const Bits& rb : pb.rows) {
      Bits bits = ra & rb;
      cut(bits, part.dims);
      merge.table.push_back(static_cast<uint16_t>(set.intern(std::move(bits))));
      if (set.all().size() > classes_max) return false;
    }
  part.rows = set.take();
  ++slots_;
  program_->merges.push_back(std::move(merge));
  parts_.erase(parts_.begin() + static_cast<ptrdiff_t>(b));
  parts_.erase(parts_.begin() + static_cast<ptrdiff_t>(a));
  parts_.push_back(std::move(part));
  return true;
}

void Compiler::add_final(const Part& part) {
  Final f{part.slot, {}, {}};
  const uint32_t lines = program_->lines_per_row;
  f.lines.resize(part.rows.size() * lines);
  f.summary.resize(part.rows.size() * ((lines + 63) / 64));
  for (size_t c = 0; c < part.rows.size(); ++c)
    for (size_t w = 0; w < part.rows[c].size(); ++w) {
      if (part.rows[c][w] == 0) continue;
      const size_t line = w / 8;
      f.lines[c * lines + line].words[w % 8] = part.rows[c][w];
      f.summary[c * ((lines + 63) / 64) + line / 64] |= uint64_t{1} << (line % 64);
    }
  program_->finals.push_back(std::move(f));
}

void Compiler::add_first_rows(const Part& part) {
  for (const Bits& bits : part.rows) program_->first_row.push_back(first_bit(bits));
}

uint64_t Compiler::bytes() const {
  uint64_t sum = program_->rows.size() * sizeof(Row) + program_->first_row.size() * 4;
  if (program_->sums) sum += sizeof(Sums) + program_->row_of_sum.size() * 8;
  for (const Leaf& leaf : program_->leaves) sum += leaf.table.size() * 2;
  for (const Merge& merge : program_->merges) sum += merge.table.size() * 2;
  for (const Final& f : program_->finals)
    sum += f.lines.size() * sizeof(BitLine) + f.summary.size() * 8;
  return sum;
}

Result<std::shared_ptr<Program>> Compiler::run() {
  append_rows(rules_, list_);
  if (auto error = check()) return tl::unexpected(std::move(*error));
  add_rows();
  program_->version = rules_.version;
  program_->rows_count = static_cast<uint32_t>(list_.rows.size());
  program_->lines_per_row = (program_->rows_count + kLineRows - 1) / kLineRows;
  program_->role_mask = list_.role_mask;
  program_->org_values = static_cast<uint32_t>(orgs_.size() + 1);
  std::vector<ClassMap> maps = build_classes(list_, orgs_);
  for (const ClassMap& map : maps)
    if (map.rows.size() > 65'535)
      return fail(ErrorCode::invalid, "the rules tell more than 65535 values of one kind apart");
  group_small(maps);
  for (ClassMap& map : maps) add_single(std::move(map));
  merge_parts();
  for (const Part& part : parts_) add_final(part);
  if (parts_.size() == 1) add_first_rows(parts_[0]);
  add_sums(*program_);
  program_->bytes = bytes();
  if (program_->bytes > limits_.total_bytes)
    return fail(ErrorCode::invalid, "compiled rules would take {} MB, at most {} are allowed",
                program_->bytes >> 20, limits_.total_bytes >> 20);
  return program_;
}

// Hyperscan needs memory of its own for each thread that scans.
Result<std::vector<std::shared_ptr<hs_scratch>>> make_scratch(const hs_database* database,
                                                              uint32_t workers) {
  std::vector<std::shared_ptr<hs_scratch>> all;
  for (uint32_t w = 0; w < workers; ++w) {
    hs_scratch_t* scratch = nullptr;
    if (hs_alloc_scratch(database, &scratch) != HS_SUCCESS)
      return fail(ErrorCode::unavailable, "no memory for scanning payloads");
    all.emplace_back(scratch, hs_free_scratch);
  }
  return all;
}

}  // namespace

Result<std::shared_ptr<const Program>> compile(const RuleSet& rules, const OrgIds& orgs,
                                               uint32_t workers, const CompileLimits& limits) {
  auto program = Compiler(rules, orgs, limits).run();
  if (!program) return tl::unexpected(std::move(program.error()));
  if (rules.patterns.empty()) return *program;
  auto database = compile_patterns(rules.patterns);
  if (!database) return tl::unexpected(std::move(database.error()));
  auto scratch = make_scratch(database->get(), workers);
  if (!scratch) return tl::unexpected(std::move(scratch.error()));
  (*program)->patterns = std::move(*database);
  (*program)->scratch = std::move(*scratch);
  return *program;
}

}  // namespace lf::policy
