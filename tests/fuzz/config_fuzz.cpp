// SPDX-License-Identifier: Apache-2.0
// Any bytes as a configuration file: loaded, or refused with at least one message, each of which
// has a position and is one line.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "control/config/load.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const lf::config::Loaded loaded = lf::config::parse(text, "f");
  if (loaded) {
    if (loaded->services.empty() || loaded->ports.empty()) std::abort();
    return 0;
  }
  if (loaded.error().empty()) std::abort();
  for (const lf::Error& error : loaded.error()) {
    unsigned line = 0, column = 0;
    if (std::sscanf(error.message.c_str(), "f:%u:%u: ", &line, &column) != 2) std::abort();
    if (line == 0 || column == 0) std::abort();
    if (error.message.find('\n') != std::string::npos) std::abort();
  }
  return 0;
}
