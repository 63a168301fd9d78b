// SPDX-License-Identifier: Apache-2.0
// The notifier without the daemon, for test_notify.py: one sink, no throttle, an event for each
// line of standard input ("SEVERITY TEXT"), until it ends.
// usage: notify_driver STORE KIND URL [RECIPIENT]
#include <cstdio>
#include <cstdlib>
#include <string>

#include "control/notify/notifier.hpp"

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  lf::config::Notifications settings;
  settings.store = argv[1];
  settings.throttle_s = 0;
  settings.sinks = {{argv[2], argv[3], {}, argc > 4 ? argv[4] : ""}};
  const lf::SystemClock clock;
  auto notifier = lf::notify::Notifier::create(settings, clock);
  if (!notifier) {
    std::fprintf(stderr, "%s\n", notifier.error().message.c_str());
    return 1;
  }
  char line[1024];
  while (std::fgets(line, sizeof(line), stdin) != nullptr) {
    char* text = nullptr;
    const auto severity = static_cast<uint8_t>(std::strtoul(line, &text, 10));
    std::string words(text);
    while (!words.empty() && (words.back() == '\n')) words.pop_back();
    (*notifier)->submit({severity, "quota", words.substr(words.find_first_not_of(' ')), {}});
  }
  return 0;
}
