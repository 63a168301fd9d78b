// SPDX-License-Identifier: Apache-2.0
#include "control/ports/port_set.hpp"

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/ports/eal.hpp"
#include "control/ports/stale_xdp.hpp"
#include "dataplane/core/mbuf_note.hpp"

namespace lf::ports {
namespace {

constexpr uint32_t kPoolCache = 256;
constexpr uint32_t kHandoffSlots = 1024;

// The repeated 16-bit pattern makes the Toeplitz hash the same for both directions of a flow.
uint8_t symmetric_key[52] = {0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d,
                             0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a,
                             0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d,
                             0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a,
                             0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a};

constexpr uint64_t kRxChecksum = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
constexpr uint64_t kTxChecksum = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;

std::string device_name(const std::string& device) {
  return device.substr(0, device.find(','));
}

// Several queues of a virtual device must be asked for in its arguments; do so unless the user did.
std::string with_queues(const std::string& device, uint32_t queues) {
  if (queues > 1 && device.starts_with("net_af_packet") &&
      device.find("qpairs=") == std::string::npos) {
    return device + ",qpairs=" + std::to_string(queues);
  }
  return device;
}

// An af_xdp device whose program is not the user's own.
bool brings_no_program(const std::string& device) {
  return !af_xdp_interface(device).empty() && device.find("xdp_prog=") == std::string::npos;
}

}  // namespace

Result<std::unique_ptr<PortSet>> PortSet::open(const config::Config& config) {
  auto set = std::unique_ptr<PortSet>(new PortSet);
  if (auto opened = set->open_all(config); !opened) return tl::unexpected(opened.error());
  return set;
}

Result<void> PortSet::open_all(const config::Config& config) {
  const config::Dataplane& dataplane = config.dataplane;
  queues_.resize(dataplane.workers);
  if (config.xdp.steering) {
    auto seats = xdp::Seats::create();
    if (!seats) return tl::unexpected(seats.error());
    seats_.emplace(std::move(*seats));
  }
  for (const config::Port& port : config.ports) {
    PortInfo info;
    info.name = port.name;
    const uint32_t wanted = port.queues != 0 ? port.queues : dataplane.workers;
    std::string device = with_queues(port.device, std::min(wanted, dataplane.workers));
    if (seats_ && brings_no_program(device)) {
      info.xdp_interface = af_xdp_interface(device);
      device += ",xdp_prog=" + seats_->path();
    }
    auto id = probe(port.name, device);
    if (!id) return tl::unexpected(id.error());
    info.id = *id;
    if (auto started = start(port, dataplane, info); !started) return started;
    if (!port.exception.empty()) {
      PortInfo kernel;
      kernel.name = port.name + ".exception";
      auto kernel_id = probe(kernel.name, port.exception);
      if (!kernel_id) return tl::unexpected(kernel_id.error());
      kernel.id = info.exception_id = *kernel_id;
      config::Port plain = port;
      plain.name = kernel.name;
      plain.offload_checksums = false;
      plain.queues = 1;
      if (auto started = start(plain, dataplane, kernel); !started) return started;
      // Neighbours know the kernel's addresses under the MAC address of the wire that they are on.
      if (rte_eth_dev_default_mac_addr_set(kernel.id, &info.mac) != 0) {
        spdlog::warn("port {}: give the kernel's side the MAC address of port {} by hand",
                     kernel.name, info.name);
      }
      if (auto shared = share_queues(kernel, dataplane.workers); !shared) return shared;
      for (PortQueues& q : queues_) {
        for (uint32_t r = 0; r < q.rx_count; ++r) {
          if (q.rx[r].port != kernel.id) continue;
          q.rx[r].to_kernel = true;
          q.rx[r].pair = info.id;
        }
        q.tx[info.id].exception = kernel.id;
      }
    }
    if (auto shared = share_queues(info, dataplane.workers); !shared) return shared;
    ports_.push_back(info);
  }
  seats_.reset();
  return {};
}

Result<uint16_t> PortSet::probe(const std::string& name, const std::string& device) {
  const std::string id_name = device_name(device);
  uint16_t id = kNoPort;
  if (detach_stale_xdp(device)) {
    spdlog::warn("port {}: detached the XDP program of a daemon that was killed", name);
  }
  // PCI ports were probed by the EAL, which was told of them.
  if (!is_pci(device) && rte_dev_probe(device.c_str()) < 0) {
    return fail(ErrorCode::unavailable, "port {}: device '{}' could not be opened ({})", name,
                device, rte_strerror(rte_errno));
  }
  if (rte_eth_dev_get_port_by_name(id_name.c_str(), &id) < 0) {
    return fail(ErrorCode::unavailable, "port {}: DPDK made no port of device '{}'", name, device);
  }
  if (id >= kPortsMax) return fail(ErrorCode::unavailable, "more than {} ports", kPortsMax);
  opened_.push_back(id);
  return id;
}

Result<rte_mempool*> PortSet::pool_on(int socket, const config::Dataplane& dataplane) {
  for (const Pool& p : pools_) {
    if (p.socket == socket) return p.pool;
  }
  const std::string name = "mbufs_" + std::to_string(pools_.size());
  rte_mempool* pool = rte_pktmbuf_pool_create(
      name.c_str(), dataplane.mbufs, kPoolCache, kMbufPrivateSize,
      static_cast<uint16_t>(dataplane.mbuf_size + RTE_PKTMBUF_HEADROOM), socket);
  if (pool == nullptr) {
    return fail(ErrorCode::unavailable,
                "{} mbufs of {} bytes do not fit into dataplane.memory_mb = {} ({})",
                dataplane.mbufs, dataplane.mbuf_size, dataplane.memory_mb, rte_strerror(rte_errno));
  }
  pools_.push_back({socket, pool});
  return pool;
}

Result<void> PortSet::start(const config::Port& port, const config::Dataplane& dataplane,
                            PortInfo& info) {
  rte_eth_dev_info dev{};
  if (const int rc = rte_eth_dev_info_get(info.id, &dev); rc != 0) {
    return fail(ErrorCode::unavailable, "port {}: {}", port.name, rte_strerror(-rc));
  }
  info.driver = dev.driver_name;
  info.socket = std::max(0, rte_eth_dev_socket_id(info.id));
  const uint32_t wanted = port.queues != 0 ? port.queues : dataplane.workers;
  info.rx_queues = static_cast<uint16_t>(
      std::clamp<uint32_t>(std::min(wanted, dataplane.workers), 1, dev.max_rx_queues));
  info.tx_queues =
      static_cast<uint16_t>(std::clamp<uint32_t>(dataplane.workers, 1, dev.max_tx_queues));
  // Virtual pairs (af_packet, af_xdp, memif) insist on as many of the one as of the other.
  if (dev.max_rx_queues == dev.max_tx_queues && dev.max_tx_queues < dataplane.workers) {
    info.rx_queues = info.tx_queues = dev.max_tx_queues;
  }

  rte_eth_conf conf{};
  if (info.rx_queues > 1 && (dev.flow_type_rss_offloads & RTE_ETH_RSS_UDP) != 0) {
    conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf.rx_adv_conf.rss_conf.rss_hf =
        dev.flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP);
    if (dev.hash_key_size != 0 && dev.hash_key_size <= sizeof symmetric_key) {
      conf.rx_adv_conf.rss_conf.rss_key = symmetric_key;
      conf.rx_adv_conf.rss_conf.rss_key_len = dev.hash_key_size;
      info.symmetric_rss = true;
    }
  }
  if (port.offload_checksums) {
    info.rx_checksum = (dev.rx_offload_capa & kRxChecksum) == kRxChecksum;
    info.tx_checksum = (dev.tx_offload_capa & kTxChecksum) == kTxChecksum;
    if (info.rx_checksum) conf.rxmode.offloads |= kRxChecksum;
    if (info.tx_checksum) conf.txmode.offloads |= kTxChecksum;
  }
  // Virtual devices without receive interrupts refuse to start with them; of those that have them
  // only memif and tap are known.
  const bool can_interrupt =
      is_pci(port.device) || info.driver == "net_memif" || info.driver == "net_tap";
  conf.intr_conf.rxq = dataplane.idle.backoff && dataplane.idle.interrupts && can_interrupt;
  info.interrupts = conf.intr_conf.rxq != 0;
  if (const int rc = rte_eth_dev_configure(info.id, info.rx_queues, info.tx_queues, &conf);
      rc != 0) {
    return fail(ErrorCode::unavailable, "port {}: {} receive and {} transmit queues: {}", port.name,
                info.rx_queues, info.tx_queues, rte_strerror(-rc));
  }
  auto pool = pool_on(info.socket, dataplane);
  if (!pool) return tl::unexpected(pool.error());
  uint16_t rx = static_cast<uint16_t>(port.rx_descriptors);
  uint16_t tx = static_cast<uint16_t>(port.tx_descriptors);
  rte_eth_dev_adjust_nb_rx_tx_desc(info.id, &rx, &tx);
  int rc = 0;
  for (uint16_t q = 0; q < info.rx_queues && rc == 0; ++q) {
    rc = rte_eth_rx_queue_setup(info.id, q, rx, static_cast<unsigned>(info.socket), nullptr, *pool);
  }
  for (uint16_t q = 0; q < info.tx_queues && rc == 0; ++q) {
    rc = rte_eth_tx_queue_setup(info.id, q, tx, static_cast<unsigned>(info.socket), nullptr);
  }
  if (rc == 0) rc = rte_eth_dev_start(info.id);
  if (rc != 0) return fail(ErrorCode::unavailable, "port {}: {}", port.name, rte_strerror(-rc));
  // Not every virtual device has these; the port works without.
  (void)rte_eth_dev_set_mtu(info.id, port.mtu);
  if (port.promiscuous) (void)rte_eth_promiscuous_enable(info.id);
  (void)rte_eth_allmulticast_enable(info.id);  // neighbour solicitations
  rte_eth_macaddr_get(info.id, &info.mac);
  rte_eth_burst_mode mode{};
  if (rte_eth_rx_burst_mode_get(info.id, 0, &mode) == 0) info.rx_function = mode.info;
  return {};
}

// Receive queue q goes to worker q; every worker gets a transmit queue of its own or, where the
// port has too few, a ring to the worker that owns queue (worker modulo queues).
Result<void> PortSet::share_queues(const PortInfo& info, uint32_t workers) {
  for (uint16_t q = 0; q < info.rx_queues; ++q) {
    PortQueues& of = queues_[q];
    of.rx[of.rx_count++] = RxQueue{.port = info.id,
                                   .queue = q,
                                   .interrupts = info.interrupts,
                                   .counts = rte_eth_rx_queue_count(info.id, q) >= 0};
  }
  for (uint32_t w = 0; w < workers; ++w) {
    TxPort& tx = queues_[w].tx[info.id];
    tx.present = true;
    tx.queue = static_cast<uint16_t>(w % info.tx_queues);
    if (w < info.tx_queues) continue;
    PortQueues& owner = queues_[tx.queue];
    for (uint32_t h = 0; h < owner.handoff_count; ++h) {
      if (owner.handoff_port[h] == info.id) tx.handoff = owner.handoff_in[h];
    }
    if (tx.handoff != nullptr) continue;
    const std::string name = "handoff_" + std::to_string(info.id) + "_" + std::to_string(tx.queue);
    rte_ring* ring = rte_ring_create(name.c_str(), kHandoffSlots, info.socket, RING_F_SC_DEQ);
    if (ring == nullptr) {
      return fail(ErrorCode::unavailable, "ring {}: {}", name, rte_strerror(rte_errno));
    }
    rings_.push_back(ring);
    owner.handoff_in[owner.handoff_count] = ring;
    owner.handoff_port[owner.handoff_count++] = info.id;
    tx.handoff = ring;
  }
  return {};
}

PortCounters PortSet::counters(const PortInfo& port) const {
  PortCounters out;
  rte_eth_stats stats{};
  if (rte_eth_stats_get(port.id, &stats) == 0) {
    out.rx_packets = stats.ipackets;
    out.tx_packets = stats.opackets;
    out.rx_missed = stats.imissed;
    out.rx_errors = stats.ierrors;
    out.rx_no_mbuf = stats.rx_nombuf;
    out.tx_errors = stats.oerrors;
  }
  rte_eth_link link{};
  out.link_up = rte_eth_link_get_nowait(port.id, &link) == 0 && link.link_status != 0;
  return out;
}

uint32_t PortSet::mbufs_available() const {
  uint32_t sum = 0;
  for (const Pool& p : pools_) sum += rte_mempool_avail_count(p.pool);
  return sum;
}

PortSet::~PortSet() {
  for (const uint16_t id : opened_) {
    rte_eth_dev_stop(id);
    rte_eth_dev_close(id);
  }
  for (rte_ring* ring : rings_) rte_ring_free(ring);
  for (const Pool& p : pools_) rte_mempool_free(p.pool);
}

}  // namespace lf::ports
