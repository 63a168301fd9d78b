// SPDX-License-Identifier: Apache-2.0
// "Did you mean": for messages about a word that is not known. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lf {

// The known word that was probably meant, or nothing.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& known);

}  // namespace lf
