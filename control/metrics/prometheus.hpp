// SPDX-License-Identifier: Apache-2.0
// Metric families as values, and their Prometheus text (exposition format 0.0.4). Pure. Modules
// hand families to the daemon, which renders all of them once a second on the control thread.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace lf::metrics {

enum class Kind : uint8_t { counter, gauge, summary };

using Labels = std::vector<std::pair<std::string, std::string>>;

struct Sample {
  Labels labels;
  std::variant<uint64_t, double> value;
  std::string suffix;  // "_sum", "_count" of a summary
};

struct Family {
  std::string name;  // latticeforge_…; counters end in _total
  std::string help;
  Kind kind = Kind::gauge;
  std::vector<Sample> samples;
};

std::string to_prometheus(const std::vector<Family>& families);

}  // namespace lf::metrics
