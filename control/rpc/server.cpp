// SPDX-License-Identifier: Apache-2.0
#include "control/rpc/server.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "control/rpc/connection.hpp"
#include "control/rpc/protocol.hpp"

namespace lf::rpc {
namespace {

constexpr int kBacklog = 1024;
constexpr int kAcceptsATurn = 64;
constexpr mode_t kMode = 0660;

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

int bind_to(int fd, const std::string& path) {
  const sockaddr_un address = address_of(path);
  return ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
}

// Whether somebody answers at a socket file. Anything but a clear "nobody" counts as somebody.
bool is_listened_to(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return true;
  const sockaddr_un address = address_of(path);
  const int error =
      ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
  ::close(fd);
  return error != ECONNREFUSED && error != ENOENT;
}

// For a client that gets no Connection: one try, then it is gone.
void refuse(int fd, RpcError code, std::string_view why) {
  const std::string line = error_text(code, why) + "\n";
  [[maybe_unused]] const ssize_t n =
      ::send(fd, line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  ::close(fd);
}

}  // namespace

Result<std::unique_ptr<Server>> Server::listen(EventLoop& loop, const CommandTable& table,
                                               ServerOptions options) {
  std::unique_ptr<Server> server(new Server(loop, table, std::move(options)));
  auto opened = server->open();
  if (!opened) return tl::unexpected(opened.error());
  return server;
}

Result<void> Server::open() {
  const std::string& path = options_.path;
  if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path))
    return fail(ErrorCode::invalid, "control socket: \"{}\" is not a path of 1 to {} characters",
                path, sizeof(sockaddr_un::sun_path) - 1);
  const auto directory = std::filesystem::path(path).parent_path();
  if (!directory.empty()) ::mkdir(directory.c_str(), 0755);  // what fails shows at bind
  listen_fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listen_fd_ < 0)
    return fail(ErrorCode::unavailable, "control socket: {}", std::strerror(errno));
  ::fchmod(listen_fd_, kMode);  // the file is made with it: never open to all, not even shortly
  auto bound = bind_or_replace();
  if (!bound) return bound;
  struct stat file {};
  if (::chmod(path.c_str(), kMode) != 0 || ::lstat(path.c_str(), &file) != 0 ||
      ::listen(listen_fd_, kBacklog) != 0)
    return fail(ErrorCode::unavailable, "control socket {}: {}", path, std::strerror(errno));
  device_ = file.st_dev;
  inode_ = file.st_ino;
  bound_ = true;
  spare_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  return loop_.watch(listen_fd_, EPOLLIN, [this](uint32_t) { accept_some(); });
}

Result<void> Server::bind_or_replace() {
  const std::string& path = options_.path;
  int error = bind_to(listen_fd_, path);
  if (error == EADDRINUSE) {
    struct stat file {};
    if (::lstat(path.c_str(), &file) == 0 && !S_ISSOCK(file.st_mode))
      return fail(ErrorCode::conflict, "control socket {}: exists and is no socket", path);
    if (is_listened_to(path))
      return fail(ErrorCode::conflict, "control socket {}: another process listens on it", path);
    ::unlink(path.c_str());
    error = bind_to(listen_fd_, path);
  }
  if (error != 0)
    return fail(ErrorCode::unavailable, "control socket {}: {}", path, std::strerror(error));
  return {};
}

Server::~Server() {
  connections_.clear();
  if (listen_fd_ >= 0) {
    loop_.unwatch(listen_fd_);
    ::close(listen_fd_);
  }
  if (spare_fd_ >= 0) ::close(spare_fd_);
  struct stat file {};
  if (bound_ && ::lstat(options_.path.c_str(), &file) == 0 && file.st_dev == device_ &&
      file.st_ino == inode_)
    ::unlink(options_.path.c_str());
}

void Server::accept_some() {
  for (int i = 0; i < kAcceptsATurn; ++i) {
    const int fd = ::accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      accept_one(fd);
      continue;
    }
    if (errno == EMFILE || errno == ENFILE) shed_one();
    if (errno != EINTR && errno != ECONNABORTED) return;
  }
}

void Server::accept_one(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || !is_allowed(peer.uid)) {
    ++counters_.refused_peer;
    spdlog::warn("control socket: refused uid {} pid {}", peer.uid, peer.pid);
    return refuse(
        fd, RpcError::not_allowed,
        fmt::format("uid {} may not use this socket; see control.allowed_uids", peer.uid));
  }
  if (connections_.size() >= options_.clients_max) {
    ++counters_.refused_full;
    return refuse(
        fd, RpcError::unavailable,
        fmt::format("{} clients are connected already, which is the limit", options_.clients_max));
  }
  auto connection = std::make_shared<Connection>(
      *this, fd, Caller{peer.uid, peer.gid, static_cast<int32_t>(peer.pid)});
  if (!connection->start()) {
    ++counters_.refused_full;
    return;  // its destructor closes the descriptor
  }
  ++counters_.accepted;
  connections_[fd] = std::move(connection);
}

// No descriptor left: without this, the pending client would wake us for ever.
void Server::shed_one() {
  if (spare_fd_ < 0) return;
  ::close(spare_fd_);
  const int fd = ::accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd >= 0) refuse(fd, RpcError::unavailable, "no file descriptor left");
  spare_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ++counters_.refused_full;
}

void Server::forget(int fd) {
  connections_.erase(fd);
}

bool Server::is_allowed(uint32_t uid) const {
  return uid == 0 || uid == ::geteuid() ||
         std::find(options_.allowed_uids.begin(), options_.allowed_uids.end(), uid) !=
             options_.allowed_uids.end();
}

}  // namespace lf::rpc
