// SPDX-License-Identifier: Apache-2.0
// A fixed array in memory of its own, zero at first and in huge pages where the kernel has them.
// Pages are not taken before they are used, so a large table that nobody needs costs nothing.
// Made by control before the workers start; T is used as it is, without constructors.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <type_traits>
#include <utility>

namespace lf {

template <typename T>
class ZeroedArray {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  ZeroedArray() = default;
  explicit ZeroedArray(size_t count) {
    void* memory = mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return;
    madvise(memory, count * sizeof(T), MADV_HUGEPAGE);
    items_ = static_cast<T*>(memory);
    count_ = count;
  }
  ~ZeroedArray() {
    if (items_ != nullptr) munmap(static_cast<void*>(items_), count_ * sizeof(T));
  }
  ZeroedArray(ZeroedArray&& other) noexcept
      : items_(std::exchange(other.items_, nullptr)), count_(std::exchange(other.count_, 0)) {}
  ZeroedArray& operator=(ZeroedArray&& other) noexcept {
    std::swap(items_, other.items_);
    std::swap(count_, other.count_);
    return *this;
  }

  // 0 when the memory could not be had.
  size_t size() const noexcept { return count_; }
  T& operator[](size_t i) noexcept { return items_[i]; }
  const T& operator[](size_t i) const noexcept { return items_[i]; }

 private:
  T* items_ = nullptr;
  size_t count_ = 0;
};

}  // namespace lf
