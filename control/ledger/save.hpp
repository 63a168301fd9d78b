// SPDX-License-Identifier: Apache-2.0
// Warm restart: the answered commands of a ledger in a file, so that a restart does not make every
// retry a new command. Slots keep hashes and not ids, so the file holds the secret of the hash too
// and is readable by its owner only; the next start takes that secret over. Thread: main, while no
// worker runs.
#pragma once

#include <cstdint>
#include <string>

#include "control/base/clock.hpp"
#include "control/base/result.hpp"
#include "dataplane/ledger/ledger.hpp"

namespace lf::ledger {

// What a file says about itself, once its checksum has been found right.
struct SavedHeader {
  uint64_t buckets = 0;
  uint64_t count = 0;  // answered commands
  UnixUs saved_us = 0;
  Secret secret;
};

// The two clocks of one moment.
struct Moment {
  Tsc tsc = 0;
  UnixUs unix_us = 0;
  uint64_t tsc_hz = 1;
};

// Writes beside `path` and renames, so that there is always a whole file. Returns how many commands
// were saved.
Result<uint64_t> save(const std::string& path, const Ledger& ledger, const Secret& secret,
                      const Moment& now);

// Reads the whole file and checks it. not_found: there is no file.
Result<SavedHeader> check_saved(const std::string& path);

// Enters what is younger than the ledger's window; the ledger was made with the saved secret.
// Returns how many. A ledger of more buckets than the saved one can't take it over.
Result<uint64_t> restore(const std::string& path, const SavedHeader& header, Ledger& ledger,
                         const Moment& now);

}  // namespace lf::ledger
