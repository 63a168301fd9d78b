// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/intake_wiring.hpp"

#include <pthread.h>
#include <rte_lcore.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "control/intake/service.hpp"
#include "dataplane/answer/answer.hpp"

namespace lf::daemon {
namespace {

constexpr int kNiceness =
    10;  // health and time-outs go first on the CPUs that we share with control

// All CPUs but the workers' own; when those are all, the control thread's.
cpu_set_t cpus_for_helpers(uint32_t workers) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  const long online = ::sysconf(_SC_NPROCESSORS_ONLN);
  for (int cpu = 0; cpu < online && cpu < CPU_SETSIZE; ++cpu) CPU_SET(cpu, &cpus);
  for (uint32_t w = 0; w < workers; ++w) {
    const rte_cpuset_t worker = rte_lcore_cpuset(w + 1);
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &worker)) CPU_CLR(cpu, &cpus);
  }
  if (CPU_COUNT(&cpus) == 0) cpus = rte_lcore_cpuset(rte_get_main_lcore());
  return cpus;
}

}  // namespace

IntakeWiring::IntakeWiring(const config::Config& config, const std::vector<ports::PortInfo>& ports,
                           const Clock& clock, EventLoop& loop, Inject inject) {
  const cpu_set_t cpus = cpus_for_helpers(config.dataplane.workers);
  const auto settle_down = [cpus] {  // threads that TBB starts from here inherit both
    pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus);
    ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kNiceness);
  };
  service_ = std::make_unique<intake::Service>(
      clock, std::max(CPU_COUNT(&cpus), 1), settle_down,
      [&loop](std::function<void()> work) { loop.post(std::move(work)); },
      [inject = std::move(inject)](std::span<const uint8_t> frame, uint8_t port) {
        Meta meta;
        meta.in_port = port;
        meta.origin = Origin::intake;
        return inject(frame, meta);
      });
  configure(config, ports);
}

IntakeWiring::~IntakeWiring() = default;

std::vector<rpc::Command> IntakeWiring::commands() {
  return service_->commands();
}

void IntakeWiring::tick() {
  service_->tick();
}

void IntakeWiring::configure(const config::Config& config,
                             const std::vector<ports::PortInfo>& ports) {
  service_->configure(intake::make_directory(config, ports));
}

void IntakeWiring::answered(const Note& note) {
  const Meta& meta = note.meta;
  lcp::Status status;
  if (meta.kind == Kind::reply)
    status =
        static_cast<lcp::Status>(reinterpret_cast<const lcp::ReplyBody*>(meta.lcp + 1)->status);
  else if (meta.verdict == Verdict::duplicate_answered || meta.reply_status != lcp::Status::ok)
    status = meta.reply_status;
  else
    status = answer::status_of(meta.verdict);
  service_->answered(meta.org_id, std::span<const uint8_t, 16>(meta.lcp->command_id, 16), status);
}

}  // namespace lf::daemon
