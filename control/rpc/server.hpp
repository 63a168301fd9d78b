// SPDX-License-Identifier: Apache-2.0
// The control socket: JSON-RPC 2.0 over a Unix stream socket, one message a line. Lives on the
// control thread's EventLoop and never blocks it: reads and writes are partial, a batch is worked
// off in slices, a client that does not read its answers is not read from either.
// Everything is bounded: clients, a message's bytes, bytes waiting over all clients.
// The daemon creates one; its destructor closes all clients and removes the socket file.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "control/base/event_loop.hpp"
#include "control/rpc/command_table.hpp"

namespace lf::rpc {

struct ServerOptions {
  std::string path;
  std::vector<uint32_t> allowed_uids;     // besides root and our own
  size_t clients_max = 1024;              // more are refused with an error line
  size_t message_bytes_max = 16u << 20;   // a longer line: error, and the client is closed
  size_t waiting_bytes_max = 256u << 20;  // input that is not worked off, over all clients
};

// Since start. Written and read on the control thread.
struct ServerCounters {
  uint64_t accepted = 0;
  uint64_t refused_full = 0;  // clients_max reached, or no file descriptor left
  uint64_t refused_peer = 0;  // credentials
  uint64_t messages = 0;
  uint64_t calls = 0;
  uint64_t errors = 0;   // messages that were not JSON, too long or an empty batch
  uint64_t dropped = 0;  // clients closed by us: message too long, too much waiting
};

class Connection;

class Server {
 public:
  // Binds and listens. A socket file is replaced only if nobody listens on it.
  static Result<std::unique_ptr<Server>> listen(EventLoop& loop, const CommandTable& table,
                                                ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void set_allowed_uids(std::vector<uint32_t> uids) { options_.allowed_uids = std::move(uids); }
  size_t clients() const { return connections_.size(); }
  const ServerCounters& counters() const { return counters_; }

 private:
  friend class Connection;

  Server(EventLoop& loop, const CommandTable& table, ServerOptions options)
      : loop_(loop), table_(table), options_(std::move(options)) {}
  Result<void> open();
  Result<void> bind_or_replace();
  void accept_some();
  void accept_one(int fd);
  void shed_one();      // when no descriptor is left
  void forget(int fd);  // called by a Connection that is over
  bool is_allowed(uint32_t uid) const;

  EventLoop& loop_;
  const CommandTable& table_;
  ServerOptions options_;
  ServerCounters counters_;
  int listen_fd_ = -1;
  int spare_fd_ = -1;  // given up to accept and close a client when there is no other
  bool bound_ = false;
  dev_t device_ = 0;  // of our socket file: only that one is removed
  ino_t inode_ = 0;
  size_t waiting_bytes_ = 0;
  std::unordered_map<int, std::shared_ptr<Connection>> connections_;
};

}  // namespace lf::rpc
