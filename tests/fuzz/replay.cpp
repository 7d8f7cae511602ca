// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target over the inputs of its corpus file, one a line in hexadecimal, and over each of them cut short: replay FILE
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
  std::ifstream file(argc > 1 ? argv[1] : "");
  long inputs = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::vector<std::uint8_t> bytes;
    for (std::size_t i = 0; i + 1 < line.size(); i += 2)
      bytes.push_back(static_cast<std::uint8_t>(std::stoul(line.substr(i, 2), nullptr, 16)));
    for (std::size_t n = 0; n <= bytes.size(); ++n) LLVMFuzzerTestOneInput(bytes.data(), n);
    ++inputs;
  }
  std::printf("%ld inputs\n", inputs);
  return inputs > 0 ? 0 : 1;
}
