// SPDX-License-Identifier: Apache-2.0
// lf-send approve and lf-send probe: a few datagrams, one after the other.
#pragma once

#include "tools/lf_send/options.hpp"

namespace lf::send {

// Sends an APPROVAL by each operator for each id; prints an answer if one comes within
// --timeout-ms. The data plane answers an APPROVAL only to refuse it. Returns the exit status.
int run_approve(const Options& options, uint64_t run);

// Sends --count PROBEs; exit status 1 when one stays unanswered.
int run_probe(const Options& options, uint64_t run);

}  // namespace lf::send
