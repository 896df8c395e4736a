/** Where a text is in an object. The search runs where the object is, and only what it found comes back. */
#include <algorithm>

#include "neap.hpp"

namespace {

constexpr size_t SLICE_BYTES = 256 * 1024;

/** @returns whether there is such an object */
bool find_text(const std::string &key, std::string_view text, std::vector<int64_t> &positions) {
  // The end of one slice stays in front of the next: a match may begin there.
  std::string window(text.size() - 1 + SLICE_BYTES, '\0');
  size_t kept = 0;
  int64_t offset = 0, size;
  while ((size = neap::objects::read(key, offset, window.data() + kept, SLICE_BYTES)) > 0) {
    const auto end = window.begin() + static_cast<ptrdiff_t>(kept) + size;
    auto from = window.begin();
    for (auto found = from; (found = std::search(from, end, text.begin(), text.end())) != end; from = found + static_cast<ptrdiff_t>(text.size())) {
      positions.push_back(offset - static_cast<int64_t>(kept) + (found - window.begin()));
    }
    // Matches do not overlap: what is part of one is not looked at again.
    from = std::max(from, end - std::min<ptrdiff_t>(end - window.begin(), static_cast<ptrdiff_t>(text.size()) - 1));
    kept = static_cast<size_t>(end - from);
    std::copy(from, end, window.begin());
    offset += size;
  }
  std::fill(window.begin(), window.end(), '\0');  // freed memory travels, too, unless it is as it was
  return size == 0;
}

}  // namespace

int main() {
  const std::string input = neap::input();
  const size_t space = input.find(' ');
  if (space == std::string::npos || space + 1 == input.size()) {
    neap::output("usage: <key> <text to find>");
    return 2;
  }
  const std::string key = input.substr(0, space);
  std::vector<int64_t> positions;
  const auto part = [&] { return find_text(key, std::string_view(input).substr(space + 1), positions) ? 0 : 1; };
  if (neap::run_at(key, part) != 0) {
    neap::output("there is no object '" + key + "'");
    return 1;
  }
  std::string text;
  for (const int64_t position : positions) text += (text.empty() ? "" : " ") + std::to_string(position);
  neap::output(text);
  return 0;
}
