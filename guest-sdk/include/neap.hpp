/*
 * What a function in C++17 uses of the host: neap.h with strings, optionals and closures. What each does at its edges is said there.
 * Nothing here throws: functions are built without exceptions, as wasi-libc has no unwinder.
 */
#ifndef NEAP_HPP
#define NEAP_HPP

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "neap.h"

namespace neap {

namespace detail {

/** Takes bytes over. */
inline std::string text_of(neap_bytes bytes) {
  std::string text(bytes.data, bytes.size);
  std::free(bytes.data);
  return text;
}

inline std::optional<std::string> value_of(neap_bytes bytes) {
  return bytes.data == nullptr ? std::nullopt : std::optional(text_of(bytes));
}

}  // namespace detail

/** What the caller sent. */
inline std::string input() { return detail::text_of(neap_input()); }

/** Adds to what the caller gets back. */
inline void output(std::string_view text) { neap_output(text.data(), text.size()); }

/** A line in the host's log. */
inline void log(const std::string &text) { neap_log(text.c_str()); }

/** Ends the call: it failed, and `reason` is what the caller gets. */
[[noreturn]] inline void fail(const std::string &reason) { neap_fail(reason.c_str()); }

namespace objects {

/** The object's bytes; nullopt when there is no such object. */
inline std::optional<std::string> get(const std::string &key) { return detail::value_of(neap_get(key.c_str())); }

/** Reads a piece. Returns how many bytes were read, 0 at the end of the object, -1 when there is no such object. */
inline int64_t read(const std::string &key, int64_t offset, void *room, size_t room_size) {
  return neap_read(key.c_str(), offset, room, room_size);
}

/** Size in bytes, -1 when there is no such object. */
inline int64_t size(const std::string &key) { return neap_size(key.c_str()); }

/** Creates or replaces the object. */
inline void put(const std::string &key, std::string_view bytes) { neap_put(key.c_str(), bytes.data(), bytes.size()); }

/** Removes the object. Nothing happens when there is none. */
inline void remove(const std::string &key) { neap_remove(key.c_str()); }

/** The keys that begin with `prefix`, in the order of their bytes. */
inline std::vector<std::string> list(const std::string &prefix) {
  std::vector<std::string> keys;
  auto add = [](const char *key, uint64_t, void *found) { static_cast<std::vector<std::string> *>(found)->emplace_back(key); };
  neap_list(prefix.c_str(), add, &keys);
  return keys;
}

/**
 * Reads an object, computes its new bytes with `change`, and writes it, with nobody in between: when another call changes the object
 * first, it reads and computes again. `change` takes a `const std::optional<std::string> &` and gives a string. Returns what was
 * written.
 *
 *   neap::objects::update("visits", [](auto &old) { return old ? std::to_string(std::stoll(*old) + 1) : "1"; });
 */
template <class Change>
std::string update(const std::string &key, Change &&change) {
  for (;;) {
    int64_t version;
    const auto old = detail::value_of(neap_get_for_update(key.c_str(), &version));
    std::string text = change(old);
    if (neap_put_if(key.c_str(), text.data(), text.size(), version)) return text;
  }
}

}  // namespace objects

/** How a called function ended. */
struct call_outcome {
  /** What its main returned: 0 is success. Not 0 when it trapped. */
  int return_value;
  /** Its output, or the message when it trapped. */
  std::string text;

  bool ok() const { return return_value == 0; }
};

/** A call that was started. It happens whether or not anybody waits for it. */
class started_call {
 public:
  explicit started_call(int handle) : handle_(handle) {}

  /** Waits until it has ended. */
  call_outcome wait() const {
    call_outcome outcome{};
    outcome.text = detail::text_of(neap_await(handle_, &outcome.return_value));
    return outcome;
  }

  /** Ends it; false when it had ended before. */
  bool cancel() const { return neap_cancel(handle_); }

  int handle() const { return handle_; }

 private:
  int handle_;
};

/** Starts a function of the same tenant and goes on: start several, then wait, and they run at the same time. */
inline started_call start(const std::string &name, std::string_view input) {
  return started_call(neap_start(name.c_str(), input.data(), input.size()));
}

/** Like `start`, but the call is cancelled when this function ends without having waited for it. */
inline started_call start_bound(const std::string &name, std::string_view input) {
  return started_call(neap_start_bound(name.c_str(), input.data(), input.size()));
}

/** Calls a function and waits for its answer. */
inline call_outcome call(const std::string &name, std::string_view input) { return start(name, input).wait(); }

/** Waits until the first of 1 to 64 calls has ended, and gives its index. */
inline size_t select(const std::vector<started_call> &calls) {
  std::vector<int> handles;
  for (const auto &one : calls) handles.push_back(one.handle());
  return static_cast<size_t>(neap_select(handles.data(), handles.size()));
}

/** Begins a call that nobody waits for, now or later. Gives its id. */
inline std::string spawn(const std::string &name, std::string_view input, int64_t delay_ms = 0) {
  char id[NEAP_ID_BYTES];
  neap_spawn(name.c_str(), input.data(), input.size(), delay_ms, id);
  return id;
}

/** Like `spawn`, and goes on at once, as nobody needs the id. */
inline void post(const std::string &name, std::string_view input, int64_t delay_ms = 0) {
  neap_spawn(name.c_str(), input.data(), input.size(), delay_ms, nullptr);
}

namespace detail {

inline int (*part_of)(void *) = nullptr;
inline void *part_context = nullptr;

inline int run_part() { return part_of(part_context); }

}  // namespace detail

/**
 * Runs `part`, which gives an int from 0 on, near the object: see neap_run_at. It may capture what it likes by reference: the stack
 * travels, and comes back with what the part has changed.
 */
template <class Part>
int run_at(const std::string &key, Part &&part) {
  detail::part_of = [](void *context) -> int { return (*static_cast<std::remove_reference_t<Part> *>(context))(); };
  detail::part_context = const_cast<void *>(static_cast<const void *>(&part));
  return neap_run_at(key.c_str(), detail::run_part);
}

}  // namespace neap

#endif
