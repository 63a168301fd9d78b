// SPDX-License-Identifier: Apache-2.0
// Section `dataplane`: workers, CPUs, memory, bursts.
#include "control/config/sections.hpp"

namespace lf::config {
namespace {

void read_idle(Context& context, const YAML::Node& node, std::string path, Idle& out) {
  Map map(context, node, std::move(path));
  map.boolean("backoff", out.backoff);
  map.integer("spin_polls", out.spin_polls, 1, 1'000'000);
  map.duration("sleep_max", out.sleep_us_max, 1, 1, 100'000);
  map.boolean("interrupts", out.interrupts);
  map.finish();
}

std::string format_cpus(const std::vector<uint32_t>& cpus) {
  std::string text;
  for (const uint32_t cpu : cpus) text += (text.empty() ? "" : ",") + std::to_string(cpu);
  return text.empty() ? "automatic" : text;
}

}  // namespace

void read_dataplane(Context& context, const YAML::Node& node, Dataplane& out) {
  Map map(context, node, "dataplane");
  map.value("cpus", out.lcores, "CPU list", format_cpus(out.lcores), parse_cpus);
  if (!out.lcores.empty()) out.workers = static_cast<uint32_t>(out.lcores.size());
  map.integer("workers", out.workers, 1, kWorkersMax);
  map.value("main_cpu", out.main_lcore, "integer 0..1023", "automatic",
            [](const std::string& given) -> Parsed<std::optional<uint32_t>> {
              const auto cpu = parse_integer(given);
              if (!cpu || *cpu < 0 || *cpu > 1023)
                return tl::unexpected<std::string>("is not a CPU in 0..1023");
              return std::optional(static_cast<uint32_t>(*cpu));
            });
  map.integer("burst", out.burst, 1, kBurstMax);
  map.integer("sample_bursts", out.sample_bursts, 0, 1u << 30);
  read_idle(context, map.child("idle"), map.path_of("idle"), out.idle);
  map.boolean("hugepages", out.hugepages);
  map.size("memory", out.memory_mb, 1u << 20, 32, 1u << 20);
  map.integer("mbufs", out.mbufs, 1024, 1u << 24);
  map.size("mbuf_size", out.mbuf_size, 1, 1024, 16384);
  map.texts("eal", out.eal);
  map.finish();

  if (!out.lcores.empty() && out.lcores.size() != out.workers)
    map.error("cpus", "names " + std::to_string(out.lcores.size()) + " CPUs for " +
                          std::to_string(out.workers) + " workers");
  if (out.lcores.size() > kWorkersMax)
    map.error("cpus", "names more than " + std::to_string(kWorkersMax) + " CPUs");
  for (const uint32_t cpu : out.lcores)
    if (out.main_lcore == cpu)
      map.error("main_cpu", quote(std::to_string(cpu)) + " is a worker's CPU, too");
}

}  // namespace lf::config
