// SPDX-License-Identifier: Apache-2.0
#include "tools/lfctl/client.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace lf::ctl {
namespace {

tl::unexpected<CallError> lost(std::string message) {
  return tl::unexpected(CallError{Failure::no_daemon, std::move(message), 0});
}

bool send_all(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t n = ::send(fd, data.data(), data.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    data.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace

Answer<Client> Client::connect(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return lost(fmt::format("{}: the path is too long for a socket", path));
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return lost(std::strerror(errno));
  Client client(fd);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int error = errno;
    if (error == ENOENT || error == ECONNREFUSED) return lost(fmt::format("no daemon at {}", path));
    return lost(fmt::format("{}: {}", path, std::strerror(error)));
  }
  return client;
}

Client::~Client() {
  if (fd_ >= 0) ::close(fd_);
}

Client::Client(Client&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), next_id_(other.next_id_), in_(std::move(other.in_)) {}

Client& Client::operator=(Client&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(next_id_, other.next_id_);
  std::swap(in_, other.in_);
  return *this;
}

Answer<Json> Client::call(const std::string& method, const Json& params) {
  Json request = {{"jsonrpc", "2.0"}, {"id", next_id_++}, {"method", method}};
  if (!params.empty()) request["params"] = params;
  std::string text;
  try {
    text = request.dump() + "\n";
  } catch (const Json::exception& e) {
    return tl::unexpected(CallError{Failure::refused, e.what(), -32602});
  }
  // When sending fails, the daemon may still have said why it hung up.
  const bool sent = send_all(fd_, text);
  auto line = read_line();
  if (!line) return sent ? tl::unexpected(line.error()) : lost("the daemon closed the connection");
  const Json answer = Json::parse(*line, nullptr, false);
  if (answer.is_discarded() || !answer.is_object()) return lost("the daemon's answer is not JSON");
  if (const auto error = answer.find("error"); error != answer.end())
    return tl::unexpected(CallError{Failure::refused, error->value("message", "unknown error"),
                                    error->value("code", 0)});
  const auto result = answer.find("result");
  if (result == answer.end()) return lost("the daemon's answer has no result");
  return *result;
}

Answer<std::string> Client::read_line() {
  size_t scanned = 0;
  while (true) {
    if (const size_t end = in_.find('\n', scanned); end != std::string::npos) {
      std::string line = in_.substr(0, end);
      in_.erase(0, end + 1);
      return line;
    }
    scanned = in_.size();
    char buffer[65536];
    const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return lost(std::strerror(errno));
    if (n == 0) return lost("the daemon closed the connection");
    in_.append(buffer, static_cast<size_t>(n));
  }
}

}  // namespace lf::ctl
