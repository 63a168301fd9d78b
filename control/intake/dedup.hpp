// SPDX-License-Identifier: Apache-2.0
// Which (org, command_id) a batch has had: a hash set of item numbers, open addressing, at most
// half full, eight bytes a place. Equal hashes are compared whole, so no command is lost to a
// collision. One thread, in row order: the first of two equal ones is in, the second is out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "control/intake/batch.hpp"
#include "control/intake/row.hpp"

namespace lf::intake {

// Keyed, so that nobody can send a batch whose ids all meet.
class TextHasher {
 public:
  TextHasher();  // secret drawn here
  uint64_t operator()(uint64_t org, std::string_view text) const noexcept;

 private:
  uint64_t secret_[2];
};

class Dedup {
 public:
  explicit Dedup(const OrgNames& orgs);

  // Marks the duplicates among a new piece's items; gives their number. `pieces` holds all former
  // ones, `piece` is the last of them.
  size_t run(const Pieces& pieces, Piece& piece);

 private:
  struct Place {
    uint32_t tag = 0;
    uint32_t number = 0;  // of the item over all pieces, plus one; 0: free
  };

  void grow();
  bool is_same(const Pieces& pieces, uint32_t number, const Item& item);
  std::string org_text(const Item& item);

  RowReader reader_;
  std::vector<Place> places_;
  std::vector<uint32_t> first_;  // number of each piece's first item
  size_t count_ = 0;
};

}  // namespace lf::intake
