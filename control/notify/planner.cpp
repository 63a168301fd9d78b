// SPDX-License-Identifier: Apache-2.0
#include "control/notify/planner.hpp"

#include <fmt/core.h>

namespace lf::notify {

const char* name_of(Channel channel) {
  return channel == Channel::pager ? "pager" : channel == Channel::sms ? "sms" : "email";
}

std::vector<Channel> channels_of(int severity) {
  if (severity >= 5) return {Channel::pager, Channel::sms, Channel::email};
  if (severity >= 3) return {Channel::sms, Channel::email};
  return {Channel::email};
}

std::string subject_of(int severity, std::string_view subsystem) {
  return fmt::format("[sev-{}] {}", severity, subsystem);
}

std::vector<Notification> NotificationPlanner::plan(const Event& event,
                                                    std::span<const std::string> recipients,
                                                    MonoNs now) {
  std::vector<Notification> out;
  for (const std::string& recipient : recipients)
    for (const Channel channel : channels_of(event.severity)) {
      const auto [last, first] = last_.try_emplace({recipient, channel}, now);
      if (!first && now - last->second < throttle_ns_) {
        ++withheld_;
        continue;
      }
      last->second = now;
      out.push_back({recipient, channel, subject_of(event.severity, event.subsystem), event.text});
    }
  return out;
}

void NotificationPlanner::restore(const std::string& recipient, Channel channel, MonoNs at) {
  MonoNs& last = last_.try_emplace({recipient, channel}, at).first->second;
  last = std::max(last, at);
}

}  // namespace lf::notify
