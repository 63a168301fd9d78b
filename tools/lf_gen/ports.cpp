// SPDX-License-Identifier: Apache-2.0
#include "tools/lf_gen/ports.hpp"

#include <fmt/format.h>
#include <rte_bus.h>
#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <unistd.h>

#include "control/ports/eal.hpp"
#include "tools/lf_gen/frames.hpp"

namespace lf::gen {
namespace {

constexpr uint32_t kCache = 256;

void fill_buffer(rte_mempool*, void*, void* object, unsigned) {
  auto* m = static_cast<rte_mbuf*>(object);
  rte_pktmbuf_reset(m);
  Maker::fill_payload(rte_pktmbuf_mtod(m, uint8_t*), rte_pktmbuf_tailroom(m));
}

Result<uint16_t> open_device(const std::string& device) {
  const std::string name = device.substr(0, device.find(','));
  uint16_t id = 0;
  // PCI ports were probed by the EAL, which was told of them.
  if (!ports::is_pci(device) && rte_dev_probe(device.c_str()) < 0)
    return fail(ErrorCode::unavailable, "'{}' could not be opened ({})", device,
                rte_strerror(rte_errno));
  if (rte_eth_dev_get_port_by_name(name.c_str(), &id) < 0)
    return fail(ErrorCode::unavailable, "DPDK made no port of '{}'", device);
  return id;
}

Result<void> start(Port& port, const Options& options, rte_mempool* pool) {
  const int socket = std::max(0, rte_eth_dev_socket_id(port.id));
  const rte_eth_conf conf{};
  auto rx = static_cast<uint16_t>(options.descriptors), tx = rx;
  int rc = rte_eth_dev_configure(port.id, 1, 1, &conf);
  if (rc == 0) rc = rte_eth_dev_adjust_nb_rx_tx_desc(port.id, &rx, &tx);
  if (rc == 0)
    rc = rte_eth_rx_queue_setup(port.id, 0, rx, static_cast<unsigned>(socket), nullptr, pool);
  if (rc == 0) rc = rte_eth_tx_queue_setup(port.id, 0, tx, static_cast<unsigned>(socket), nullptr);
  if (rc == 0) rc = rte_eth_dev_start(port.id);
  if (rc != 0) return fail(ErrorCode::unavailable, "{}: {}", port.device, rte_strerror(-rc));
  // Not every virtual device has it; the port works without.
  (void)rte_eth_promiscuous_enable(port.id);
  rte_eth_macaddr_get(port.id, &port.mac);
  return {};
}

}  // namespace

Result<void> start_eal(const Options& options) {
  std::vector<std::string> args = {"lf-gen",
                                   "--lcores",
                                   fmt::format("0@{}", options.cpu),
                                   "--log-level",
                                   "lib.eal:error",
                                   "--log-level",
                                   "pmd.*:error",
                                   "-m",
                                   std::to_string(options.memory_mb)};
  bool pci = false;
  for (const std::string& device : options.ports) {
    if (!ports::is_pci(device)) continue;
    pci = true;
    args.insert(args.end(), {"-a", device});
  }
  if (!pci) args.push_back("--no-pci");
  if (options.hugepages)
    args.insert(args.end(), {"--in-memory", "--file-prefix", fmt::format("lf-gen-{}", getpid())});
  else
    args.insert(args.end(), {"--no-huge", "--no-shconf", "--no-telemetry"});
  args.insert(args.end(), options.eal.begin(), options.eal.end());
  std::vector<char*> argv;
  for (auto& a : args) argv.push_back(a.data());
  if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0)
    return fail(ErrorCode::unavailable, "DPDK did not start ({}); arguments: {}",
                rte_strerror(rte_errno), fmt::join(args, " "));
  return {};
}

Result<Ports> open_ports(const Options& options) {
  Ports all;
  all.receive = rte_pktmbuf_pool_create("lf_gen_receive", options.mbufs, kCache, 0,
                                        RTE_MBUF_DEFAULT_BUF_SIZE, 0);
  all.send = rte_pktmbuf_pool_create("lf_gen_send", options.mbufs, kCache, 0,
                                     RTE_MBUF_DEFAULT_BUF_SIZE, 0);
  if (all.receive == nullptr || all.send == nullptr)
    return fail(ErrorCode::unavailable, "no memory for two times {} buffers: --memory, --mbufs",
                options.mbufs);
  rte_mempool_obj_iter(all.send, fill_buffer, nullptr);
  for (const std::string& device : options.ports) {
    auto id = open_device(device);
    if (!id) return tl::unexpected(id.error());
    Port port{.device = device, .id = *id};
    if (auto started = start(port, options, all.receive); !started)
      return tl::unexpected(started.error());
    all.ports.push_back(port);
  }
  return all;
}

Result<void> wait_for_links(const Ports& ports, uint32_t seconds) {
  const uint64_t end = rte_rdtsc() + seconds * rte_get_tsc_hz();
  for (const Port& port : ports.ports) {
    rte_eth_link link{};
    while (rte_eth_link_get_nowait(port.id, &link) != 0 || link.link_status == 0) {
      if (rte_rdtsc() > end)
        return fail(ErrorCode::unavailable, "{}: no link within {} s", port.device, seconds);
      rte_delay_us_sleep(1000);
    }
  }
  return {};
}

void close_ports(const Ports& ports) {
  for (const Port& port : ports.ports) {
    rte_eth_dev_stop(port.id);
    rte_eth_dev_close(port.id);
  }
}

}  // namespace lf::gen
