// SPDX-License-Identifier: Apache-2.0
// Keys that are kept packed, expanded where they are used. Called by the authenticate stage on
// workers, for a burst.
#pragma once

#include <cstdint>

#include "dataplane/crypto/cmac_key.hpp"
#include "dataplane/crypto/cmac_lanes.hpp"

namespace lf::crypto {

// out[i] is packed[i] as expand_cmac_key() made it. No branch on a key's bytes.
void expand_packed(const PackedCmacKey* const* packed, uint32_t count, CmacKey* out) noexcept;
void expand_packed(CmacPath path, const PackedCmacKey* const* packed, uint32_t count,
                   CmacKey* out) noexcept;

}  // namespace lf::crypto
