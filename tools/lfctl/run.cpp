// SPDX-License-Identifier: Apache-2.0
#include "tools/lfctl/run.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <set>

#include "tools/lfctl/command_line.hpp"
#include "tools/lfctl/intake.hpp"
#include "tools/lfctl/render.hpp"

namespace lf::ctl {
namespace {

constexpr const char* kHome = "\x1b[H\x1b[J";  // cursor to the top left, clear from there
constexpr int kReconnectMs = 500;

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

int complain(const CallError& error) {
  std::fprintf(stderr, "lfctl: %s\n", error.message.c_str());
  return error.failure == Failure::no_daemon ? kNoDaemon : kRefused;
}

Style style_of(const Options& options) {
  Style style;
  const bool terminal = ::isatty(STDOUT_FILENO) != 0;
  style.colours = terminal && !options.no_colour && std::getenv("NO_COLOR") == nullptr;
  winsize size{};
  if (terminal && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    style.columns = size.ws_col;
  return style;
}

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::localtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%F %T", &parts);
  return text;
}

void pause_ms(int64_t ms) {
  const timespec time{ms / 1000, ms % 1000 * 1'000'000};
  ::nanosleep(&time, nullptr);
}

// Checks answer, rather than fail, when what they checked is not in order.
bool says_no(const Json& result) {
  if (!result.is_object()) return false;
  for (const char* key : {"ok", "intact"})
    if (const auto found = result.find(key); found != result.end() && *found == false) return true;
  return false;
}

int call_once(Client& client, const Invocation& invocation, const Options& options) {
  const auto result = invocation.method == kSubmitMethod
                          ? submit_batch(client, invocation.params, options)
                          : client.call(invocation.method, invocation.params);
  if (!result) {
    if (options.json && result.error().failure == Failure::refused)
      print(Json{{"error", {{"code", result.error().code}, {"message", result.error().message}}}}
                .dump(2) +
            "\n");
    return complain(result.error());
  }
  print(options.json ? result->dump(2) + "\n"
                     : render(invocation.method, *result, style_of(options)));
  return says_no(*result) ? kRefused : kOk;
}

// Until interrupted. Outlives a restart of the daemon.
int watch(Client client, const Invocation& invocation, const Options& options) {
  using Clock = std::chrono::steady_clock;
  std::optional<Previous> previous;
  Clock::time_point last{};
  const bool terminal = ::isatty(STDOUT_FILENO) != 0;
  while (true) {
    const auto result = client.call(invocation.method, invocation.params);
    const auto now = Clock::now();
    if (!result && result.error().failure == Failure::refused) return complain(result.error());
    if (!result) {
      std::fprintf(stderr, "lfctl: %s; waiting for it\n", result.error().message.c_str());
      while (true) {
        pause_ms(kReconnectMs);
        if (auto again = Client::connect(options.socket)) {
          client = std::move(*again);
          break;
        }
      }
      previous.reset();
      continue;
    }
    if (previous) previous->seconds_ago = std::chrono::duration<double>(now - last).count();
    if (options.json)
      print(result->dump() + "\n");
    else
      print(
          (terminal ? kHome : "") + fmt::format("{}  lfctl {}\n\n", now_text(), invocation.method) +
          render(invocation.method, *result, style_of(options), previous) + (terminal ? "" : "\n"));
    previous = Previous{*result, 0};
    last = now;
    pause_ms(static_cast<int64_t>(options.interval_s * 1000));
  }
}

// Values of a parameter that only the daemon knows.
void add_values(Client& client, const std::string& name, std::set<std::string>& out) {
  if (name != "node" && name != "service") return;
  const auto nodes = client.call("nodes.list", Json::object());
  if (!nodes || !nodes->is_array()) return;
  for (const Json& node : *nodes) out.insert(node.value(name == "node" ? "name" : "service", ""));
}

int complete(Answer<Client>& client, CommandLine& line, const std::vector<std::string>& words) {
  const std::string last = words.empty() ? "" : words.back();
  std::set<std::string> values;
  for (const std::string& word : line.complete(words)) {
    if (!word.starts_with('<'))
      values.insert(word);
    else if (client)
      add_values(*client, word.substr(1, word.size() - 2), values);
  }
  for (const std::string& value : values)
    if (value.starts_with(last)) print(value + "\n");
  return kOk;
}

// Whether the words can be served without the daemon: help, or the completion script.
bool is_local(const std::vector<std::string>& words) {
  if (words.empty()) return true;
  return std::any_of(words.begin(), words.end(), [](const std::string& word) {
    return word == "--help" || word == "-h" || word == "completion";
  });
}

}  // namespace

int run(const std::vector<std::string>& words) {
  auto client = Client::connect(socket_from(words));
  std::vector<MethodInfo> methods;
  if (client) {
    const auto description = client->call("rpc.describe", Json::object());
    if (!description) return complain(description.error());
    methods = methods_from(*description);
  }
  CommandLine line(std::move(methods));
  if (!words.empty() && words[0] == "__complete")
    return complete(client, line, {words.begin() + 1, words.end()});
  if (!client && !is_local(words)) return complain(client.error());
  const Invocation invocation = line.parse(with_plain_flags(words));
  if (!client && invocation.status != kOk)
    std::fprintf(stderr, "\nThe daemon's own commands are not shown: %s.\n",
                 client.error().message.c_str());
  if (invocation.finished) return invocation.status;
  if (!client) return complain(client.error());
  if (!line.options().watch) return call_once(*client, invocation, line.options());
  if (invocation.mutates) {
    std::fprintf(stderr, "lfctl: %s changes state; it cannot be watched\n",
                 invocation.method.c_str());
    return kUsage;
  }
  return watch(std::move(*client), invocation, line.options());
}

}  // namespace lf::ctl
