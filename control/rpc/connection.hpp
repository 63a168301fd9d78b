// SPDX-License-Identifier: Apache-2.0
// One client of the control socket: its unread input, the message being worked off, its unsent
// output. Calls of a client run one after the other, in the order sent. Used by Server only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "control/rpc/protocol.hpp"
#include "control/rpc/server.hpp"

namespace lf::rpc {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // Takes the descriptor over.
  Connection(Server& server, int fd, const Caller& caller)
      : server_(server), fd_(fd), caller_(caller) {}
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Result<void> start();
  void on_events(uint32_t events);
  void close();

 private:
  void read_some();
  void work();
  bool take_line();
  void take_message(std::string_view line);
  void start_call();
  void finish_call(uint64_t token, const std::string& text);
  void end_message();
  void schedule();
  void flush();
  void give_up(RpcError code, std::string_view why);
  void drop_input();
  void update_interest();

  bool has_message() const { return next_call_ < message_.calls.size(); }
  bool wants_input() const;
  size_t unsent() const { return out_.size() - out_begin_; }

  Server& server_;
  int fd_;
  Caller caller_;
  std::string in_;
  size_t in_begin_ = 0;  // consumed up to here
  size_t scanned_ = 0;   // no newline between in_begin_ and here
  std::string out_;
  size_t out_begin_ = 0;  // sent up to here
  Message message_;
  size_t next_call_ = 0;
  bool answered_any_ = false;  // something of the batch's answer is in out_
  uint64_t token_ = 0;         // of the call that runs: a late second answer does not match
  bool busy_ = false;          // a call runs
  bool working_ = false;       // inside work()
  bool scheduled_ = false;     // work() is posted
  bool at_end_ = false;        // the client will send no more
  bool giving_up_ = false;     // close when out_ is sent
  bool closed_ = false;
  uint32_t interest_ = 0;
};

}  // namespace lf::rpc
