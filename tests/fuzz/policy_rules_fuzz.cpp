// SPDX-License-Identifier: Apache-2.0
// Any text is either refused with positions, or is a policy that both evaluators agree on.
#include <cstdlib>
#include <string_view>

#include "control/policy/compile.hpp"
#include "control/policy/evaluate.hpp"
#include "control/policy/parse.hpp"
#include "control/policy/run_compiled.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lf::policy;
  Vocabulary vocabulary;
  vocabulary.orgs = {{"acme", 1}, {"globex", 2}};
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Parsed parsed = parse_rules(text, vocabulary, NameCheck::strict);
  if (!parsed.ok()) return 0;
  RuleSet rules = parsed.rules;
  rules.patterns.clear();  // Hyperscan's compiler has fuzzers of its own
  const auto program = compile(rules, {1, 2}, 0);
  if (!program) return 0;
  uint32_t seed = 1;
  for (int n = 0; n < 200; ++n) {
    seed = seed * 1664525 + 1013904223;
    Inputs in;
    in.org_id = seed >> 30;
    in.intent = static_cast<uint8_t>(seed >> 26 & 7);
    in.severity = static_cast<uint8_t>(seed >> 23 & 7);
    in.clearance = static_cast<uint8_t>(seed >> 20 & 7);
    in.mfa_level = static_cast<uint8_t>(seed >> 17 & 3);
    in.risk_centi = static_cast<uint16_t>((seed >> 4 & 0x3fff) % 10'001);
    in.comms_degraded = seed >> 3 & 1;
    in.role_bits = seed >> 8 & 0x7f;
    in.pattern_bits = seed >> 5 & 7;
    in.group = static_cast<uint16_t>(seed & 3);
    const lf::OrgIndex org = in.org_id == 1 || in.org_id == 2 ? in.org_id - 1 : lf::kNoOrg;
    if (run_compiled(**program, in, org) != evaluate(rules, in)) std::abort();
  }
  return 0;
}
