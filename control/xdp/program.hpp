// SPDX-License-Identifier: Apache-2.0
// The XDP program of one port: loaded with libbpf, its maps filled, attached to the interface by a
// BPF link. The kernel takes it away when the link's descriptor is closed, so it never outlives
// the daemon, however that ends. Thread: control.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "control/base/result.hpp"
#include "control/xdp/contents.hpp"
#include "control/xdp/deny_list.hpp"

struct bpf_link;
struct lf_xdp_steer;
struct ring_buffer;

namespace lf::xdp {

class Program {
 public:
  // Neither attached nor filled. `xsks_map`: a descriptor of the sockets' map; -1: an empty one.
  static Result<std::unique_ptr<Program>> load(int xsks_map);
  // Takes the place of the program that holds the seats of this interface's sockets.
  static Result<std::unique_ptr<Program>> replace_seats(const std::string& interface);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // Puts in what is new, then takes away what is old.
  Result<void> fill(const Contents& contents);
  Result<void> apply(const DenyChange& change);

  std::array<uint64_t, LF_XDP_COUNTS> counts() const;
  lf_xdp_denied denied(uint32_t place) const;

  // Copies of what neighbours told the kernel. The descriptor is readable when there are any.
  using Hear = std::function<void(std::span<const uint8_t> frame)>;
  int heard_fd() const;
  void hear(const Hear& hear);

  int fd() const;
  uint32_t id() const;
  bool native() const { return native_; }  // in the driver; else in the generic hook behind it

 private:
  Program() = default;
  Result<void> attach(int interface_index);

  lf_xdp_steer* skeleton_ = nullptr;
  bpf_link* link_ = nullptr;
  ring_buffer* ring_ = nullptr;
  Contents filled_;
  Hear hear_;
  uint32_t heard_left_ = 0;
  bool native_ = false;
};

}  // namespace lf::xdp
