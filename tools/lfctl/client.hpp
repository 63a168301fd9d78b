// SPDX-License-Identifier: Apache-2.0
// lfctl's end of the control socket: one blocking connection, one call at a time.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <tl/expected.hpp>

namespace lf::ctl {

using Json = nlohmann::ordered_json;  // answers are shown in the daemon's order

enum class Failure : uint8_t {
  no_daemon,  // nobody to talk to, or the connection broke
  refused,    // the daemon answered with an error
};

struct CallError {
  Failure failure = Failure::no_daemon;
  std::string message;
  int code = 0;  // JSON-RPC's, when refused
};

template <typename T>
using Answer = tl::expected<T, CallError>;

class Client {
 public:
  static Answer<Client> connect(const std::string& path);
  ~Client();
  Client(Client&& other) noexcept;
  Client& operator=(Client&& other) noexcept;

  Answer<Json> call(const std::string& method, const Json& params);

 private:
  explicit Client(int fd) : fd_(fd) {}
  Answer<std::string> read_line();

  int fd_ = -1;
  uint64_t next_id_ = 1;
  std::string in_;
};

}  // namespace lf::ctl
