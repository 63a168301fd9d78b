// SPDX-License-Identifier: Apache-2.0
// The Snapshot: everything that workers read and only control writes, as one immutable value.
// Control builds a new one, publishes it with a single pointer store (control/publish) and frees
// the old one after the RCU grace period. Sub-tables that did not change are shared between
// generations. A worker loads the pointer once a burst, so no burst sees two generations.
#pragma once

#include <cstdint>
#include <memory>

#include "dataplane/admission/table.hpp"

namespace lf {

namespace parse {
struct Table;
}
namespace authenticate {
struct Table;
}
namespace policy {
struct Table;
}
namespace quota {
struct Table;
}
namespace forward {
struct Table;
}
namespace flow {
struct Table;
}

struct Snapshot {
  uint64_t generation = 0;  // counts up from 1 with each publication
  std::shared_ptr<const parse::Table> parse;
  std::shared_ptr<const authenticate::Table> authenticate;
  std::shared_ptr<const policy::Table> policy;
  std::shared_ptr<const quota::Table> quota;
  std::shared_ptr<const forward::Table> forward;
  std::shared_ptr<const flow::Table> flow;
  admission::Table admission;
};

}  // namespace lf
