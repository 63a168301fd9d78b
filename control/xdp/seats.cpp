// SPDX-License-Identifier: Apache-2.0
#include "control/xdp/seats.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#include "dataplane/xdp/seats.skel.h"
#pragma GCC diagnostic pop

namespace lf::xdp {

Result<Seats> Seats::create() {
  Seats seats(::memfd_create("lf_seats.o", MFD_CLOEXEC));
  size_t size = 0;
  const void* bytes = lf_xdp_seats::elf_bytes(&size);
  if (seats.fd_ < 0 || ::write(seats.fd_, bytes, size) != static_cast<ssize_t>(size))
    return fail(ErrorCode::unavailable, "no memory for the XDP object: {}", std::strerror(errno));
  return seats;
}

Seats::~Seats() {
  if (fd_ >= 0) ::close(fd_);
}

Seats::Seats(Seats&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

std::string Seats::path() const {
  return "/proc/self/fd/" + std::to_string(fd_);
}

}  // namespace lf::xdp
