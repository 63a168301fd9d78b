// SPDX-License-Identifier: Apache-2.0
#include "tools/lf_node/control_lines.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace lf::node {
namespace {

constexpr size_t kLineMax = 65536;
constexpr size_t kPeersMax = 64;

void set_nonblocking(int fd) {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

}  // namespace

ControlLines::~ControlLines() {
  for (const Peer& p : peers_)
    if (p.in != STDIN_FILENO) ::close(p.in);
  if (listener_ >= 0) {
    ::close(listener_);
    ::unlink(path_.c_str());
  }
}

Result<void> ControlLines::listen(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (path.size() >= sizeof(address.sun_path))
    return fail(ErrorCode::invalid, "{}: too long for a socket", path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  ::unlink(path.c_str());
  if (listener_ < 0 ||
      ::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(listener_, 16) != 0)
    return fail(ErrorCode::unavailable, "{}: {}", path, std::strerror(errno));
  path_ = path;
  return {};
}

void ControlLines::read_stdin() {
  set_nonblocking(STDIN_FILENO);
  peers_.push_back({STDIN_FILENO, STDOUT_FILENO, {}});
}

void ControlLines::add_poll_fds(std::vector<pollfd>& fds) const {
  if (listener_ >= 0) fds.push_back({listener_, POLLIN, 0});
  for (const Peer& p : peers_) fds.push_back({p.in, POLLIN, 0});
}

void ControlLines::accept_all() {
  if (listener_ < 0) return;
  while (peers_.size() < kPeersMax) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    peers_.push_back({fd, fd, {}});
  }
}

void ControlLines::serve(const Handler& handler) {
  accept_all();
  std::erase_if(peers_, [&](Peer& p) {
    if (serve_peer(p, handler)) return false;
    if (p.in != STDIN_FILENO) ::close(p.in);
    return true;
  });
}

// False when the peer is gone.
bool ControlLines::serve_peer(Peer& p, const Handler& handler) {
  char buffer[4096];
  while (true) {
    const ssize_t n = ::read(p.in, buffer, sizeof(buffer));
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    if (n == 0) return false;
    p.text.append(buffer, static_cast<size_t>(n));
    size_t start = 0;
    for (size_t end; (end = p.text.find('\n', start)) != std::string::npos; start = end + 1) {
      const std::string answer =
          handler(std::string_view(p.text).substr(start, end - start)) + "\n";
      if (::write(p.out, answer.data(), answer.size()) < 0 && errno != EAGAIN) return false;
    }
    p.text.erase(0, start);
    if (p.text.size() > kLineMax) return false;
  }
}

}  // namespace lf::node
