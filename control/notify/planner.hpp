// SPDX-License-Identifier: Apache-2.0
// Who hears of an event, by which channels, and how often: channels by severity, and at most one
// notification per recipient and channel in the throttle time. Pure: time is an argument.
// Thread: control.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/base/clock.hpp"
#include "control/notify/event.hpp"

namespace lf::notify {

enum class Channel : uint8_t { pager, sms, email };

const char* name_of(Channel channel);
// Severity 5 and above: pager, sms, email; 3 and 4: sms, email; below: email.
std::vector<Channel> channels_of(int severity);
// "[sev-N] subsystem"
std::string subject_of(int severity, std::string_view subsystem);

struct Notification {
  std::string recipient;
  Channel channel = Channel::email;
  std::string subject;
  std::string text;
};

class NotificationPlanner {
 public:
  explicit NotificationPlanner(int64_t throttle_s = 600)
      : throttle_ns_(throttle_s * 1'000'000'000) {}

  void set_throttle(int64_t throttle_s) { throttle_ns_ = throttle_s * 1'000'000'000; }

  std::vector<Notification> plan(const Event& event, std::span<const std::string> recipients,
                                 MonoNs now);

  // A notification that went out before this planner was made.
  void restore(const std::string& recipient, Channel channel, MonoNs at);

  uint64_t withheld() const { return withheld_; }

 private:
  MonoNs throttle_ns_;
  uint64_t withheld_ = 0;
  std::map<std::pair<std::string, Channel>, MonoNs> last_;
};

}  // namespace lf::notify
