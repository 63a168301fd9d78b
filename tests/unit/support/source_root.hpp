// SPDX-License-Identifier: Apache-2.0
// Where the source tree is, for tests that read examples, documents and fixtures from it.
#pragma once

#include <cstdlib>
#include <filesystem>

namespace lf {

// LF_SOURCE_DIR, which `meson test` sets; else the nearest directory upwards with meson_options.txt.
inline std::filesystem::path source_root() {
  if (const char* set = std::getenv("LF_SOURCE_DIR")) return set;
  auto directory = std::filesystem::current_path();
  while (!std::filesystem::exists(directory / "meson_options.txt") &&
         directory != directory.root_path())
    directory = directory.parent_path();
  return directory;
}

}  // namespace lf
