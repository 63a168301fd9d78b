// SPDX-License-Identifier: Apache-2.0
#include "tools/lf_agent/socket_reader.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#include "tools/lf_agent/sockets.skel.h"
#pragma GCC diagnostic pop

namespace lf::agent {
namespace {

constexpr const char* kKernelTypes = "/sys/kernel/btf/vmlinux";
constexpr size_t kLogMax = 4000;  // of what libbpf says, from its end

std::string libbpf_log;  // libbpf takes a function without context

int keep_log(libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN) return 0;
  char line[1024];
  const int length = std::vsnprintf(line, sizeof line, format, arguments);
  libbpf_log += line;
  if (libbpf_log.size() > kLogMax) libbpf_log.erase(0, libbpf_log.size() - kLogMax);
  return length;
}

tl::unexpected<Error> failed(const char* what) {
  const int error = errno;
  if (error == EPERM || error == EACCES)
    return fail(ErrorCode::unavailable,
                "{}: not permitted. Needs root, or CAP_BPF and CAP_PERFMON (setcap "
                "cap_bpf,cap_perfmon+ep lf-agent)",
                what);
  if (::access(kKernelTypes, R_OK) != 0)
    return fail(ErrorCode::unavailable,
                "{}: the kernel has no type information ({}): it needs CONFIG_DEBUG_INFO_BTF", what,
                kKernelTypes);
  return fail(ErrorCode::unavailable,
              "{}: {}. Needs Linux 5.11 with BPF iterators over sockets. libbpf says:\n{}", what,
              std::strerror(error), libbpf_log);
}

lf_agent_port key_of(const WatchedPort& port) {
  return {.port = port.number, .protocol = port.protocol, .zero = 0};
}

// The programs run while the descriptor is read. They write nothing to it.
bool walk(const bpf_link* link) {
  const int fd = bpf_iter_create(bpf_link__fd(link));
  if (fd < 0) return false;
  char nothing[64];
  ssize_t n;
  do n = ::read(fd, nothing, sizeof nothing);
  while (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)));
  const int error = errno;
  ::close(fd);
  errno = error;
  return n == 0;
}

bool watches(std::span<const WatchedPort> ports, uint8_t protocol) {
  for (const WatchedPort& p : ports)
    if (p.protocol == protocol) return true;
  return false;
}

}  // namespace

Result<std::unique_ptr<SocketReader>> SocketReader::load(std::span<const WatchedPort> ports) {
  libbpf_set_print(keep_log);
  libbpf_log.clear();
  auto reader = std::unique_ptr<SocketReader>(new SocketReader);
  reader->ports_.assign(ports.begin(), ports.end());
  lf_agent_sockets_bpf* skeleton = reader->skeleton_ = lf_agent_sockets_bpf::open();
  if (skeleton == nullptr) return failed("the BPF programs cannot be opened");
  if (lf_agent_sockets_bpf::load(skeleton) != 0)
    return failed("the kernel does not take the BPF programs");
  const auto attach = [](bpf_program* program) {
    return bpf_program__attach_iter(program, nullptr);
  };
  if (watches(ports, IPPROTO_UDP) &&
      (reader->udp_ = attach(skeleton->progs.lf_udp_sockets)) == nullptr)
    return failed("no BPF iterator over UDP sockets");
  if (watches(ports, IPPROTO_TCP) &&
      (reader->tcp_ = attach(skeleton->progs.lf_tcp_sockets)) == nullptr)
    return failed("no BPF iterator over TCP sockets");
  return reader;
}

SocketReader::~SocketReader() {
  if (udp_ != nullptr) bpf_link__destroy(udp_);
  if (tcp_ != nullptr) bpf_link__destroy(tcp_);
  if (skeleton_ != nullptr) lf_agent_sockets_bpf::destroy(skeleton_);
}

Result<void> SocketReader::clear() {
  const lf_agent_sockets nothing{};
  for (const WatchedPort& port : ports_) {
    const lf_agent_port key = key_of(port);
    if (bpf_map__update_elem(skeleton_->maps.ports, &key, sizeof key, &nothing, sizeof nothing,
                             BPF_ANY) != 0)
      return failed("the map of ports");
  }
  return {};
}

Result<std::vector<PortReading>> SocketReader::read() {
  if (auto cleared = clear(); !cleared) return tl::unexpected(cleared.error());
  for (const bpf_link* link : {udp_, tcp_})
    if (link != nullptr && !walk(link)) return failed("the sockets cannot be read");
  std::vector<PortReading> readings;
  for (const WatchedPort& port : ports_) {
    const lf_agent_port key = key_of(port);
    PortReading r{.port = port};
    if (bpf_map__lookup_elem(skeleton_->maps.ports, &key, sizeof key, &r.sockets, sizeof r.sockets,
                             0) != 0)
      return failed("the map of ports");
    if (first_) r.sockets.drops = r.sockets.segments = r.sockets.resent = 0;
    readings.push_back(r);
  }
  first_ = false;
  return readings;
}

}  // namespace lf::agent
