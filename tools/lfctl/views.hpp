// SPDX-License-Identifier: Apache-2.0
// Views of the answers that people look at most. Each throws Json::exception when the answer has
// another shape; render() then falls back to the generic one.
#pragma once

#include <optional>
#include <string>

#include "tools/lfctl/render.hpp"

namespace lf::ctl {

std::string nodes_view(const Json& result, const Style& style);
std::string breakers_view(const Json& result, const Style& style);
std::string quota_view(const Json& result, const Style& style);
std::string latency_view(const Json& result, const Style& style);  // `stats --latency`
std::string stats_view(const Json& result, const Style& style,
                       const std::optional<Previous>& previous);
std::string explain_view(const Json& result, const Style& style);
std::string help_view(const Json& result, const Style& style);
std::string check_view(const Json& result, const Style& style);
std::string diff_view(const Json& result);

}  // namespace lf::ctl
