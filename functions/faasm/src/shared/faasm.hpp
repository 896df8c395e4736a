/** Input, output and objects of a function for Faasm, as its samples use them. */
#pragma once

#include <string>
#include <string_view>

#include "faasm.h"

namespace faasm {

inline std::string input() {
  std::string text(static_cast<size_t>(__faasm_read_input(nullptr, 0)), '\0');
  if (!text.empty()) __faasm_read_input(text.data(), static_cast<int32_t>(text.size()));
  return text;
}

inline void output(std::string_view bytes) {
  __faasm_write_output(const_cast<char *>(bytes.data()), static_cast<int32_t>(bytes.size()));
}

/** The whole object; data() is null when there is none, or it is empty. Inside a part it is gone at the part's end. */
inline std::string_view map(const std::string &key) {
  uint32_t size = 0;
  const int32_t at = __faasmndp_getMmap(key.data(), static_cast<int32_t>(key.size()), 0, INT32_MAX, &size);
  return {reinterpret_cast<const char *>(at), size};
}

inline void put(const std::string &key, std::string_view bytes) {
  __faasmndp_put(key.data(), static_cast<int32_t>(key.size()), bytes.data(), static_cast<int32_t>(bytes.size()));
}

/** Runs a part near the object. It takes nothing: what it needs and finds are globals. */
inline int run_near(const std::string &key, int (*part)()) {
  const auto index = static_cast<int32_t>(reinterpret_cast<intptr_t>(part));
  return __faasmndp_storageCallAndAwait(key.data(), static_cast<int32_t>(key.size()), index);
}

/** Splits at the first space. */
inline std::string cut(std::string &text) {
  const size_t space = text.find(' ');
  std::string first = text.substr(0, space);
  text = space == std::string::npos ? "" : text.substr(space + 1);
  return first;
}

}  // namespace faasm
