// SPDX-License-Identifier: Apache-2.0
// Commands as text, and batches of them, for the tests of intake.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "control/intake/batch.hpp"
#include "control/intake/row.hpp"

namespace lf::intake::test {

inline constexpr int64_t kNowUs = 1'767'225'600'000'000;  // 2026-01-01T00:00:00Z

inline OrgNames some_orgs() {
  OrgNames orgs;
  orgs.ids = {{"acme", 1}, {"1", 1}, {"globex", 2}, {"2", 2}};
  return orgs;
}

// A valid command; `more` goes in before the last brace.
inline std::string command(const std::string& id, const std::string& deadline = "1767229200",
                           const std::string& more = "") {
  return R"({"command_id":")" + id + R"(","satellite_id":"sat-1","intent":"status-refresh",)" +
         R"("issued_by":"alice","signature":"s","deadline":)" + deadline + R"(,"trace_id":"t")" +
         more + "}";
}

inline std::string lines(const std::vector<std::string>& rows) {
  std::string text;
  for (const std::string& row : rows) text += row + "\n";
  return text;
}

inline Batch batch_of(const std::string& text, Options options = {}) {
  static const OrgNames orgs = some_orgs();
  if (options.now_us == 0) options.now_us = kNowUs;
  auto batch = process(text_source(text), orgs, options);
  if (!batch) ADD_FAILURE() << batch.error().message;
  return batch ? std::move(*batch) : Batch{};
}

inline std::vector<std::string> ids_of(const Batch& batch) {
  std::vector<std::string> ids;
  for (size_t k = 0; k < batch.size(); ++k) ids.emplace_back(batch[k].command_id);
  return ids;
}

}  // namespace lf::intake::test
