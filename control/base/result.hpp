// SPDX-License-Identifier: Apache-2.0
// Results of control-side functions: a value, or an error that says what, where and why.
#pragma once

#include <fmt/core.h>

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace lf {

enum class ErrorCode {
  invalid,      // bad input: configuration, rule, parameter
  not_found,    // names something that does not exist
  conflict,     // well-formed, but cannot be applied in this state
  unavailable,  // a resource (file, port, memory, thread) could not be had
  internal,     // a bug
};

struct [[nodiscard]] Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;  // one line; starts with file:line:column where there is one
};

template <typename T>
using Result = tl::expected<T, Error>;

template <typename... Args>
[[nodiscard]] tl::unexpected<Error> fail(ErrorCode code, fmt::format_string<Args...> format,
                                         Args&&... args) {
  return tl::unexpected(Error{code, fmt::format(format, std::forward<Args>(args)...)});
}

}  // namespace lf
