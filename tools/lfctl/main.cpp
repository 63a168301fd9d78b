// SPDX-License-Identifier: Apache-2.0
#include "tools/lfctl/run.hpp"

int main(int argc, char** argv) {
  return lf::ctl::run({argv + 1, argv + argc});
}
