// SPDX-License-Identifier: Apache-2.0
// The shell's half of completion: it asks lfctl what may come next.
#pragma once

namespace lf::ctl {

inline constexpr const char* kBashCompletion =
    R"(# bash completion for lfctl; use it with: source <(lfctl completion bash)
_lfctl() {
  local IFS=$'\n'
  COMPREPLY=($("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _lfctl lfctl
)";

}  // namespace lf::ctl
