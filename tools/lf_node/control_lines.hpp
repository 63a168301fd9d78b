// SPDX-License-Identifier: Apache-2.0
// Lines that change a node while it runs: from a Unix socket, from standard input. Each line gets
// one line back.
#pragma once

#include <poll.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "control/base/result.hpp"

namespace lf::node {

class ControlLines {
 public:
  using Handler = std::function<std::string(std::string_view line)>;

  ControlLines() = default;
  ControlLines(const ControlLines&) = delete;
  ControlLines& operator=(const ControlLines&) = delete;
  ~ControlLines();

  // Replaces a stale socket of that name.
  Result<void> listen(const std::string& path);
  void read_stdin();

  void add_poll_fds(std::vector<pollfd>& fds) const;
  // Serves what is waiting; never blocks.
  void serve(const Handler& handler);

 private:
  struct Peer {
    int in, out;
    std::string text;  // not yet a whole line
  };
  void accept_all();
  static bool serve_peer(Peer& peer, const Handler& handler);

  std::string path_;
  int listener_ = -1;
  std::vector<Peer> peers_;
};

}  // namespace lf::node
