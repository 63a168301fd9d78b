// SPDX-License-Identifier: Apache-2.0
// How a message reaches each kind of sink: alertmanager (its v2 API), webhook (JSON by POST), smtp
// (a mail through a relay), command (a program with the text on its standard input), log.
// A call takes at most a few seconds and succeeds or not: retrying is the notifier's job.
// Thread: the sink's own; `stopping` makes a call under way return early.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "control/base/result.hpp"
#include "control/config/config.hpp"
#include "control/notify/message.hpp"

namespace lf::notify {

using Deliver = std::function<Result<void>(const Message&, const std::atomic<bool>& stopping)>;

Deliver make_sink(const config::Sink& sink);

// Names a sink over restarts: what is in the outbox for it stays its own while its kind, URL and
// recipient stay the same.
std::string sink_key(const config::Sink& sink);

// What is sent, for tests and documentation.
std::string alertmanager_body(const Message& message);
std::string webhook_body(const Message& message);
std::string mail_text(const Message& message, const std::string& sender);

}  // namespace lf::notify
