// SPDX-License-Identifier: Apache-2.0
#include "control/ports/stale_xdp.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <unistd.h>

#include "control/xdp/seats.hpp"

namespace lf::ports {
namespace {

std::string program_name(uint32_t id) {
  const int fd = bpf_prog_get_fd_by_id(id);
  if (fd < 0) return {};
  bpf_prog_info info{};
  uint32_t size = sizeof info;
  const int rc = bpf_obj_get_info_by_fd(fd, &info, &size);
  close(fd);
  return rc == 0 ? info.name : std::string();
}

}  // namespace

std::string af_xdp_interface(const std::string& device) {
  const size_t at = device.find("iface=");
  if (!device.starts_with("net_af_xdp") || at == std::string::npos) return {};
  const size_t start = at + 6;
  return device.substr(start, device.find(',', start) - start);
}

// The kernel cuts names to 15 characters.
bool is_af_xdp_leftover(const std::string& name) {
  return name.starts_with("xsk_def_prog") || name.starts_with("xdp_dispatcher") ||
         name.starts_with("xdp_sock_prog") || name == xdp::kSeatsProgram;
}

bool detach_stale_xdp(const std::string& device) {
  const unsigned index = if_nametoindex(af_xdp_interface(device).c_str());
  if (index == 0) return false;
  uint32_t id = 0;
  if (bpf_xdp_query_id(static_cast<int>(index), 0, &id) != 0 || id == 0) return false;
  if (!is_af_xdp_leftover(program_name(id))) return false;
  return bpf_xdp_detach(static_cast<int>(index), 0, nullptr) == 0;
}

}  // namespace lf::ports
