// SPDX-License-Identifier: Apache-2.0
// Commands of the control socket about notifications: notifications.list, notifications.send.
// Handlers run on the control thread; the notifier must outlive the table that they go into.
#pragma once

#include <vector>

#include "control/notify/notifier.hpp"
#include "control/rpc/command.hpp"

namespace lf::notify {

std::vector<rpc::Command> notification_commands(Notifier& notifier);

}  // namespace lf::notify
