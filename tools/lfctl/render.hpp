// SPDX-License-Identifier: Apache-2.0
// Answers as people read them. Methods without a view of their own are shown generically: an
// object as lines, a list of objects as a table. Pure.
#pragma once

#include <optional>
#include <string>

#include "tools/lfctl/client.hpp"

namespace lf::ctl {

struct Style {
  bool colours = false;
  unsigned columns = 100;  // of the terminal
};

// What a watching view shows rates from.
struct Previous {
  Json result;
  double seconds_ago = 0;
};

// By method: a view of its own, or the generic one.
std::string render(const std::string& method, const Json& result, const Style& style,
                   const std::optional<Previous>& previous = std::nullopt);

std::string render_generic(const Json& result, const Style& style);

}  // namespace lf::ctl
