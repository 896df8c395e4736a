/** Pictures in the PPM format with 8 bits per colour ("P6"), and their thumbnails. */
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct image {
  size_t width, height;
  /** Red, green, blue and 255 of each point. */
  std::vector<uint8_t> rgba;
};

/** nullopt when it is none. */
inline std::optional<image> decoded(std::string_view bytes) {
  size_t at = 2, numbers[3];
  if (bytes.substr(0, 2) != "P6") return std::nullopt;
  for (size_t &number : numbers) {
    number = 0;
    while (at < bytes.size() && bytes[at] <= ' ') at += 1;
    while (at < bytes.size() && bytes[at] >= '0' && bytes[at] <= '9') number = number % 100'000 * 10 + (bytes[at++] - '0');
  }
  at += 1;
  const auto [width, height, largest] = numbers;
  if (largest != 255 || width > 10'000 || height > 10'000 || bytes.size() < at + 3 * width * height) return std::nullopt;
  image result{width, height, std::vector<uint8_t>(4 * width * height, 255)};
  for (size_t point = 0; point < width * height; point++) {
    for (size_t colour = 0; colour < 3; colour++) result.rgba[4 * point + colour] = static_cast<uint8_t>(bytes[at + 3 * point + colour]);
  }
  return result;
}

/** A quarter as wide and high: the mean of 16 points. */
inline image shrunk(const image &large) {
  image small{large.width / 4, large.height / 4, std::vector<uint8_t>(4 * (large.width / 4) * (large.height / 4))};
  for (size_t y = 0; y < small.height; y++) {
    for (size_t x = 0; x < small.width; x++) {
      for (size_t colour = 0; colour < 4; colour++) {
        unsigned sum = 0;
        for (size_t i = 0; i < 16; i++) sum += large.rgba[4 * ((4 * y + i / 4) * large.width + 4 * x + i % 4) + colour];
        small.rgba[4 * (y * small.width + x) + colour] = static_cast<uint8_t>(sum / 16);
      }
    }
  }
  return small;
}

inline std::string encoded(const image &picture) {
  std::string bytes = "P6\n" + std::to_string(picture.width) + " " + std::to_string(picture.height) + "\n255\n";
  for (size_t i = 0; i < picture.rgba.size(); i++) {
    if (i % 4 != 3) bytes += static_cast<char>(picture.rgba[i]);
  }
  return bytes;
}
