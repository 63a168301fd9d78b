// SPDX-License-Identifier: Apache-2.0
// Batches from files: as they are, gzip, zstd, broken ones, and rows longer than any buffer.
#include "control/intake/source.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/unit/intake/batches.hpp"

namespace lf::intake {
namespace {

using test::command;
using test::ids_of;
using Texts = std::vector<std::string>;

class SourceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/lf-intake-XXXXXX";
    directory_ = ::mkdtemp(name);
    path_ = directory_ + "/batch";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  void write(const std::string& bytes) { std::ofstream(path_, std::ios::binary) << bytes; }
  Result<Batch> batch(size_t chunk_bytes = 0) {
    auto source = file_source(path_);
    if (!source) return tl::unexpected(source.error());
    return process(std::move(*source), orgs_,
                   {.now_us = test::kNowUs, .threads = 2, .chunk_bytes = chunk_bytes});
  }
  std::string error() {
    const auto b = batch();
    return b ? "none" : b.error().message;
  }

  const OrgNames orgs_ = test::some_orgs();
  std::string directory_, path_;
};

std::string gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

std::string many(int first, int count) {
  std::string text;
  for (int i = first; i < first + count; ++i)
    text += command("c" + std::to_string(100000 + i)) + "\n";
  return text;
}

TEST_F(SourceTest, AllPackingsGiveTheSame) {
  const std::string text = many(0, 3000);
  for (const std::string& bytes :
       {text, gzip(text), zstd(text), gzip(many(0, 1000)) + gzip(many(1000, 2000)),
        zstd(many(0, 1000)) + zstd(many(1000, 2000)), text.substr(0, text.size() - 1)}) {
    write(bytes);
    for (const size_t chunk : {size_t{0}, size_t{1}, size_t{1000}, size_t{77'777}}) {
      const auto b = batch(chunk);
      ASSERT_TRUE(b) << b.error().message;
      ASSERT_EQ(b->size(), 3000u);
      EXPECT_EQ((*b)[0].command_id, "c100000");
      EXPECT_EQ((*b)[2999].command_id, "c102999");
    }
  }
}

TEST_F(SourceTest, ARowOf64MegabytesIsNamedAndPassedOver) {
  for (const bool last : {false, true}) {
    write(command("a") + "\n" + std::string(64u << 20, 'x') +
          (last ? "" : "\n" + command("b") + "\n"));
    const auto b = batch();
    ASSERT_TRUE(b) << b.error().message;
    EXPECT_EQ(ids_of(*b), last ? Texts{"a"} : (Texts{"a", "b"}));
    EXPECT_EQ(b->errors(), Texts{"row 1: longer than 1048576 bytes"});
  }
}

TEST_F(SourceTest, RowsAtTheLimit) {
  const auto row = [](size_t size) {
    std::string text = command("x");
    return text + std::string(size - text.size(), ' ');
  };
  write(row(kRowBytesMax) + "\n" + row(kRowBytesMax + 1) + "\n" + command("y"));
  const auto b = batch();
  ASSERT_TRUE(b) << b.error().message;
  EXPECT_EQ(ids_of(*b), (Texts{"x", "y"}));
  EXPECT_EQ(b->errors(), Texts{"row 1: longer than 1048576 bytes"});
}

TEST_F(SourceTest, AByteOrderMarkIsNoPartOfTheFirstRow) {
  write("\xef\xbb\xbf" + command("a"));
  EXPECT_EQ(ids_of(*batch()), Texts{"a"});
}

TEST_F(SourceTest, BrokenPackingsAreErrors) {
  const std::string text = many(0, 3000);
  for (const std::string& packed : {gzip(text), zstd(text)}) {
    write(packed.substr(0, packed.size() / 2));
    EXPECT_NE(error().find("ends too early"), std::string::npos) << error();
    std::string broken = packed;
    if (packed[0] == '\x1f')
      broken[broken.size() - 6] ^= 1;  // of the checksum
    else
      std::fill(broken.begin() + static_cast<long>(broken.size() / 2), broken.end(), '\x55');
    write(broken);
    EXPECT_NE(error().find("broken"), std::string::npos) << error();
  }
}

TEST_F(SourceTest, OnlyRegularFiles) {
  EXPECT_NE(error().find("No such file"), std::string::npos);
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(error(), path_ + ": not a regular file");
  path_ = directory_;
  EXPECT_EQ(error(), directory_ + ": not a regular file");
}

TEST_F(SourceTest, AnEmptyFileIsAnEmptyBatch) {
  write("");
  const auto b = batch();
  ASSERT_TRUE(b);
  EXPECT_EQ(b->rows(), 0u);
}

}  // namespace
}  // namespace lf::intake
