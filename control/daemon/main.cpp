// SPDX-License-Identifier: Apache-2.0
// latticeforge: the daemon. Reads the configuration, starts DPDK, then everything else.
#include <fmt/core.h>
#include <rte_eal.h>
#include <signal.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>

#include "control/config/load.hpp"
#include "control/daemon/daemon.hpp"
#include "control/ports/eal.hpp"
#include "control/xdp/host_ports.hpp"

namespace {

int run(const std::string& path, const std::string& socket, bool check) {
  auto config = lf::config::load(path);
  if (!config) {
    fmt::print(stderr, "{}\n", lf::config::to_text(config.error()));
    return 1;
  }
  if (check) {
    for (const std::string& warning : lf::xdp::shared_port_warnings(*config))
      fmt::print(stderr, "{}: warning: {}\n", path, warning);
    fmt::print("{}: ok ({} ports, {} services, {} organisations)\n", path, config->ports.size(),
               config->services.size(), config->organisations.size());
    return 0;
  }
  // Before DPDK starts its threads, which inherit the mask: these signals are the event loop's.
  sigset_t ours;
  sigemptyset(&ours);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&ours, signal);
  pthread_sigmask(SIG_BLOCK, &ours, nullptr);
  spdlog::set_default_logger(spdlog::stderr_color_mt("latticeforge"));
  spdlog::set_level(spdlog::level::from_str(config->control.log_level));
  if (auto eal = lf::ports::start_eal(*config); !eal) {
    fmt::print(stderr, "{}\n", eal.error().message);
    return 1;
  }
  int status = 1;
  if (auto daemon = lf::daemon::Daemon::create(std::move(*config), socket); daemon) {
    status = (*daemon)->run();
  } else {
    fmt::print(stderr, "{}\n", daemon.error().message);
  }
  rte_eal_cleanup();
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"LatticeForge, the ingress data plane of a service mesh"};
  std::string path, socket;
  bool check = false;
  app.add_option("--config", path, "configuration file (YAML)")->required();
  app.add_option("--socket", socket, "control socket; overrides the configuration");
  app.add_flag("--check", check, "validate the configuration and exit");
  app.set_version_flag("--version", lf::daemon::kVersion);
  CLI11_PARSE(app, argc, argv);
  return run(path, socket, check);
}
