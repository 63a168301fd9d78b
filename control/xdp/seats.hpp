// SPDX-License-Identifier: Apache-2.0
// The XDP object file that DPDK's AF_XDP driver is told to load (its xdp_prog argument): it passes
// every packet and holds the map for the driver's sockets, which Program takes over. The file is
// in memory, so nothing has to be installed. PortSet keeps it while ports start. Thread: main.
#pragma once

#include <string>

#include "control/base/result.hpp"

namespace lf::xdp {

inline constexpr const char* kSeatsProgram = "lf_seats";

class Seats {
 public:
  static Result<Seats> create();
  ~Seats();
  Seats(Seats&& other) noexcept;
  Seats& operator=(Seats&&) = delete;

  std::string path() const;

 private:
  explicit Seats(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace lf::xdp
