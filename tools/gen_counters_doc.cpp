// SPDX-License-Identifier: Apache-2.0
// Prints docs/counters.md: gen_counters_doc > docs/counters.md, after a change of the verdicts.
#include <cstdio>

#include "tools/counters_doc.hpp"

int main() {
  return std::fputs(lf::docs::counters_page().c_str(), stdout) < 0;
}
