// SPDX-License-Identifier: Apache-2.0
// Slots and flights are shared 8-byte words, read and written several at a time with vectors: each
// word is of one moment, as the ledger needs it, on every CPU with AVX. ThreadSanitizer can't know
// that; under it LF_WORDS_ONE_BY_ONE is defined and words are accessed one by one as atomics.
#pragma once

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LF_WORDS_ONE_BY_ONE
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define LF_WORDS_ONE_BY_ONE
#endif
