// SPDX-License-Identifier: Apache-2.0
// The way of most packets is one function, so that what it knows stays in registers; what is rarely
// asked is kept out of it.
#pragma once

#define LF_INLINE [[gnu::always_inline]] inline
#define LF_INLINE_LAMBDA __attribute__((always_inline))
#define LF_APART [[gnu::noinline]]
