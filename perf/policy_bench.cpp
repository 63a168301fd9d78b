// SPDX-License-Identifier: Apache-2.0
// What a policy decision costs on the worker, by number of rules, for rule sets of a realistic
// make: most rules speak of one organisation and an intent, some of a clearance, an MFA level, a
// risk. Baselines: the plain evaluator (scan), and DPDK's rte_acl on the same rules.
#include <benchmark/benchmark.h>
#include <rte_acl.h>
#include <rte_eal.h>

#include <memory>
#include <random>

#include "control/policy/compile.hpp"
#include "control/policy/default_rules.hpp"
#include "control/policy/evaluate.hpp"
#include "control/policy/parse.hpp"
#include "dataplane/policy/policy.hpp"

namespace lf::policy {
namespace {

constexpr uint32_t kPackets = 8192;  // distinct packets, so that nothing is learnt by heart
constexpr uint32_t kBurst = 32;

// Every dimension of these rules is one range, so that rte_acl can take them as they are.
struct RangeRule {
  uint32_t org_low = 0, org_high = ~0u;
  uint16_t risk_low = 0, risk_high = 10'000;
  uint8_t intent_low = 0, intent_high = 255, clearance_low = 0, clearance_high = 255, mfa_low = 0,
          mfa_high = 255, severity_low = 0, severity_high = 255;
  uint8_t outcome = 0;
};

class Make {
 public:
  explicit Make(uint32_t rules) : orgs(std::max(16u, rules / 8)) {
    for (uint32_t n = 0; n + 1 < rules; ++n) this->rules.push_back(rule());
    RangeRule last;  // a default at the end, so that most packets go deep
    last.outcome = static_cast<uint8_t>(PolicyOutcome::allow);
    this->rules.push_back(last);
  }

  const uint32_t orgs;
  std::vector<RangeRule> rules;

  Meta packet() {
    Meta m;
    m.org = below(orgs);
    m.org_id = m.org + 1;
    m.intent = static_cast<uint8_t>(1 + below(6));
    m.severity = static_cast<uint8_t>(1 + below(5));
    m.levels = static_cast<uint8_t>(below(6));
    m.levels = static_cast<uint8_t>(m.levels | below(3) << 4);
    m.risk_centi = static_cast<uint16_t>(below(10'001));
    m.comms_degraded = below(10) == 0;
    return m;
  }

 private:
  uint32_t below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  RangeRule rule() {
    RangeRule r;
    r.outcome = static_cast<uint8_t>(below(3));
    if (below(10) < 8) r.org_low = r.org_high = below(orgs);
    if (below(10) < 7) r.intent_low = r.intent_high = static_cast<uint8_t>(1 + below(6));
    if (below(2)) r.clearance_high = static_cast<uint8_t>(below(5));
    if (below(4) == 0) r.mfa_high = static_cast<uint8_t>(below(2));
    if (below(4) == 0) r.severity_low = static_cast<uint8_t>(2 + below(4));
    if (below(2)) {
      r.risk_low = static_cast<uint16_t>(below(100) * 100);
      r.risk_high = static_cast<uint16_t>(r.risk_low + 100 * below(30));
      r.risk_high = std::min<uint16_t>(r.risk_high, 10'000);
    }
    // A rule for everybody speaks of a small part of the rest.
    if (r.org_low != r.org_high && r.intent_low != r.intent_high) {
      r.risk_low = static_cast<uint16_t>(below(9900));
      r.risk_high = static_cast<uint16_t>(r.risk_low + 20);
      r.intent_low = r.intent_high = static_cast<uint8_t>(1 + below(6));
    }
    return r;
  }
  std::mt19937_64 random_{42};
};

uint16_t mask(uint32_t low, uint32_t high) {
  uint32_t m = 0;
  for (uint32_t v = low; v <= std::min(high, 15u); ++v) m |= 1u << v;
  return static_cast<uint16_t>(m);
}

RuleSet rule_set(const Make& make) {
  RuleSet set;
  set.version = 1;
  for (const RangeRule& r : make.rules) {
    Condition c;
    c.clearance = mask(r.clearance_low, r.clearance_high);
    c.mfa = mask(r.mfa_low, r.mfa_high);
    c.severity = mask(r.severity_low, r.severity_high);
    c.risk = {{r.risk_low, r.risk_high}};
    if (r.intent_high != 255) {
      c.intents.reset();
      c.intents.set(r.intent_low);
    }
    if (r.org_high != ~0u) c.orgs = {false, {r.org_low + 1}};
    set.rules.push_back({"r", "", 0, static_cast<PolicyOutcome>(r.outcome), {c}, 0, 0});
  }
  return set;
}

OrgIds org_ids(uint32_t count) {
  OrgIds ids;
  for (uint32_t i = 0; i < count; ++i) ids.push_back(i + 1);
  return ids;
}

// A ring of bursts through the stage itself.
class Harness {
 public:
  Harness(Make& make, std::shared_ptr<const Program> program) : state_(new State) {
    table_.programs[0] = std::move(program);
    for (uint32_t n = 0; n < kPackets / kBurst; ++n) {
      bursts_.push_back(std::make_unique<Burst>());
      bursts_.back()->count = kBurst;
      for (uint32_t i = 0; i < kBurst; ++i) bursts_.back()->meta[i] = make.packet();
    }
  }

  void set_payload(lcp::Header* header, uint16_t length) {
    for (auto& burst : bursts_)
      for (uint32_t i = 0; i < kBurst; ++i) {
        burst->meta[i].lcp = header;
        burst->meta[i].payload_length = length;
      }
  }

  void run(benchmark::State& state) {
    size_t n = 0;
    for (auto _ : state) {
      Burst& burst = *bursts_[n++ % bursts_.size()];
      Selection live;
      for (uint32_t i = 0; i < kBurst; ++i) {
        burst.meta[i].verdict = Verdict::none;
        live.add(i);
      }
      policy::run(table_, *state_, burst, live);
      benchmark::DoNotOptimize(live.count);
    }
    state.counters["time_per_packet"] =
        benchmark::Counter(static_cast<double>(state.iterations()) * kBurst,
                           benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  }

 private:
  Table table_;
  std::unique_ptr<State> state_;
  std::vector<std::unique_ptr<Burst>> bursts_;
};

void evaluate_rules(benchmark::State& state) {
  Make make(static_cast<uint32_t>(state.range(0)));
  auto program = compile(rule_set(make), org_ids(make.orgs), 1);
  if (!program) return state.SkipWithError(program.error().message.c_str());
  state.counters["KiB"] = static_cast<double>((*program)->bytes) / 1024;
  state.counters["bitmaps"] = static_cast<double>((*program)->finals.size());
  Harness(make, *program).run(state);
}

void evaluate_default(benchmark::State& state) {
  Vocabulary vocabulary;
  Make make(64);
  const auto set = load_rules(kDefaultRules, "default", vocabulary, NameCheck::strict);
  auto program = compile(*set, org_ids(make.orgs), 1);
  if (!program) return state.SkipWithError(program.error().message.c_str());
  Harness(make, *program).run(state);
}

// The last rule asks for a payload pattern, or (range 1 = 0) nothing does. 64-byte payload.
void evaluate_patterns(benchmark::State& state) {
  Make make(64);
  RuleSet set = rule_set(make);
  if (state.range(0)) {
    set.patterns = {{"wipe", "(wipe|erase) +all", 2 | 8 | 1}, {"shell", "/bin/(ba)?sh", 2 | 8}};
    set.rules.back().alternatives[0].patterns.none = 3;
  }
  auto program = compile(set, org_ids(make.orgs), 1);
  if (!program) return state.SkipWithError(program.error().message.c_str());
  alignas(64) static char packet[sizeof(lcp::Header) + 64];
  std::fill(packet + sizeof(lcp::Header), std::end(packet), 'x');
  Harness harness(make, *program);
  harness.set_payload(reinterpret_cast<lcp::Header*>(packet), 64);
  harness.run(state);
}

void compile_rules(benchmark::State& state) {
  Make make(static_cast<uint32_t>(state.range(0)));
  const RuleSet set = rule_set(make);
  const OrgIds orgs = org_ids(make.orgs);
  for (auto _ : state) benchmark::DoNotOptimize(compile(set, orgs, 1));
}

void scan_rules(benchmark::State& state) {
  Make make(static_cast<uint32_t>(state.range(0)));
  const RuleSet set = rule_set(make);
  std::vector<Inputs> inputs;
  for (uint32_t n = 0; n < 1024; ++n) {
    const Meta m = make.packet();
    Inputs in;
    in.org_id = m.org_id;
    in.intent = m.intent;
    in.severity = m.severity;
    in.clearance = m.clearance();
    in.mfa_level = m.mfa_level();
    in.risk_centi = m.risk_centi;
    inputs.push_back(in);
  }
  size_t n = 0;
  for (auto _ : state) benchmark::DoNotOptimize(evaluate(set, inputs[n++ % inputs.size()]));
}

// What rte_acl reads of a packet. Its first field has one byte, then groups of four.
struct AclKey {
  uint8_t intent;
  uint8_t clearance, mfa, severity, zero;
  uint32_t org;
  uint16_t risk, zero2;
} __attribute__((packed));

constexpr uint32_t kAclFields = 7;
RTE_ACL_RULE_DEF(AclRule, kAclFields);

struct AclFree {
  void operator()(rte_acl_ctx* c) const { rte_acl_free(c); }
};

std::unique_ptr<rte_acl_ctx, AclFree> build_acl(const Make& make) {
  static int serial = 0;
  const std::string name = "bench" + std::to_string(serial++);
  rte_acl_param param{};
  param.name = name.c_str();
  param.socket_id = SOCKET_ID_ANY;
  param.rule_size = RTE_ACL_RULE_SZ(kAclFields);
  param.max_rule_num = static_cast<uint32_t>(make.rules.size());
  std::unique_ptr<rte_acl_ctx, AclFree> acl(rte_acl_create(&param));
  if (!acl) return nullptr;
  int32_t priority = static_cast<int32_t>(make.rules.size());
  for (const RangeRule& r : make.rules) {
    AclRule rule{};
    rule.data.category_mask = 1;
    rule.data.priority = priority--;
    rule.data.userdata = r.outcome + 1u;
    const auto range8 = [&](int f, uint8_t low, uint8_t high) {
      rule.field[f].value.u8 = low;
      rule.field[f].mask_range.u8 = high;
    };
    range8(0, r.intent_low, r.intent_high);
    range8(1, r.clearance_low, r.clearance_high);
    range8(2, r.mfa_low, r.mfa_high);
    range8(3, r.severity_low, r.severity_high);
    rule.field[5].value.u32 = r.org_low == r.org_high ? r.org_low : 0;
    rule.field[5].mask_range.u32 = r.org_low == r.org_high ? 32 : 0;
    rule.field[6].value.u16 = r.risk_low;
    rule.field[6].mask_range.u16 = r.risk_high;
    rule.field[4].mask_range.u8 = 255;
    if (rte_acl_add_rules(acl.get(), reinterpret_cast<rte_acl_rule*>(&rule), 1)) return nullptr;
  }
  rte_acl_config config{};
  config.num_categories = 1;
  config.num_fields = kAclFields;
  const auto field = [&](uint32_t n, uint8_t type, uint8_t size, uint8_t input, size_t offset) {
    config.defs[n] = {type, size, static_cast<uint8_t>(n), input, static_cast<uint32_t>(offset)};
  };
  field(0, RTE_ACL_FIELD_TYPE_RANGE, 1, 0, offsetof(AclKey, intent));
  field(1, RTE_ACL_FIELD_TYPE_RANGE, 1, 1, offsetof(AclKey, clearance));
  field(2, RTE_ACL_FIELD_TYPE_RANGE, 1, 1, offsetof(AclKey, mfa));
  field(3, RTE_ACL_FIELD_TYPE_RANGE, 1, 1, offsetof(AclKey, severity));
  field(4, RTE_ACL_FIELD_TYPE_RANGE, 1, 1, offsetof(AclKey, zero));
  field(5, RTE_ACL_FIELD_TYPE_MASK, 4, 2, offsetof(AclKey, org));
  field(6, RTE_ACL_FIELD_TYPE_RANGE, 2, 3, offsetof(AclKey, risk));
  return rte_acl_build(acl.get(), &config) == 0 ? std::move(acl) : nullptr;
}

void acl_rules(benchmark::State& state) {
  Make make(static_cast<uint32_t>(state.range(0)));
  const auto acl = build_acl(make);
  if (!acl) return state.SkipWithError("rte_acl does not take these rules");
  std::vector<AclKey> keys(kPackets);
  for (AclKey& key : keys) {
    const Meta m = make.packet();
    key = {m.intent,
           m.clearance(),
           m.mfa_level(),
           m.severity,
           0,
           __builtin_bswap32(m.org),
           __builtin_bswap16(m.risk_centi),
           0};
  }
  size_t n = 0;
  for (auto _ : state) {
    const uint8_t* data[kBurst];
    uint32_t results[kBurst];
    for (uint32_t i = 0; i < kBurst; ++i)
      data[i] = reinterpret_cast<const uint8_t*>(&keys[(n + i) % kPackets]);
    n = (n + kBurst) % kPackets;
    rte_acl_classify(acl.get(), data, results, kBurst, 1);
    benchmark::DoNotOptimize(results);
  }
  state.counters["time_per_packet"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * kBurst,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

BENCHMARK(evaluate_default)->Name("policy.evaluate.default");
BENCHMARK(evaluate_rules)->Name("policy.evaluate")->Arg(64)->Arg(1000)->Arg(10'000);
BENCHMARK(evaluate_patterns)->Name("policy.patterns")->Arg(0)->Arg(1);
BENCHMARK(compile_rules)
    ->Name("policy.compile")
    ->Arg(64)
    ->Arg(1000)
    ->Arg(10'000)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(scan_rules)->Name("policy.scan")->Arg(64)->Arg(10'000);
BENCHMARK(acl_rules)->Name("policy.rte_acl")->Arg(64)->Arg(1000)->Arg(10'000);

}  // namespace
}  // namespace lf::policy

int main(int argc, char** argv) {
  const char* eal[] = {
      "policy_bench", "--no-huge", "--no-pci", "--no-telemetry", "--no-shconf", "-m",
      "1024",         "-l",        "0",        "--log-level=1"};
  if (rte_eal_init(static_cast<int>(std::size(eal)), const_cast<char**>(eal)) < 0) return 1;
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
