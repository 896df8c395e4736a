// Uses all of neap.hpp, one line of output per thing.
#include "neap.hpp"

using namespace neap;

static void line(const std::string &name, const std::string &text) { output(name + ": " + text + "\n"); }

int main() {
  if (input() == "child") {
    output(std::string(10000, 'x'));
    return 3;
  }
  if (input() == "fail") fail("größer als 😀");
  line("input", input());
  log("a line");
  line("absent", objects::get("a") ? "found" : "none");
  objects::put("a", "\xc3\xa4 text");
  line("get", *objects::get("a") + " " + std::to_string(objects::size("a")));
  objects::put("large", std::string(3000000, '\7'));
  line("large", std::to_string(objects::get("large")->size()));
  char piece[10];
  line("piece", std::to_string(objects::read("large", 2999995, piece, sizeof piece)));
  objects::remove("large");
  line("removed", std::to_string(objects::size("large")));
  for (int i = 0; i < 600; i++) objects::put("many/" + std::to_string(1000 + i) + std::string(50, 'k'), "v");
  const auto keys = objects::list("many/");
  line("list", std::to_string(keys.size()) + " " + keys[599].substr(0, 9) + " " + std::to_string(objects::list("none").size()));
  const auto add = [](const std::optional<std::string> &old) { return old.value_or("") + "1"; };
  line("update", objects::update("n", add) + " " + objects::update("n", add));
  const auto outcome = call("everything", "child");
  line("call", std::to_string(outcome.return_value) + " " + std::to_string(outcome.text.size()) + (outcome.ok() ? " ok" : ""));
  const std::vector<started_call> calls = {start_bound("everything", "child"), start("everything", "child")};
  line("select", select(calls) < 2 ? "one" : "none");
  line("await", std::to_string(calls[1].wait().text.size() + calls[0].wait().text.size()));
  line("cancel", calls[0].cancel() ? "cancelled" : "ended");
  line("spawn", spawn("everything", "child").size() > 5 ? "id" : "none");
  post("everything", "child", 5);
  std::string seen = "nothing";
  int64_t size = 0;
  const int part = run_at("a", [&] {
    seen = "from the part, longer than what lies in the string itself";
    return run_at("n", [&] {
      size = objects::size("n");
      return 4;
    }) + 1;
  });
  line("part", std::to_string(part) + " " + seen + " " + std::to_string(size));
  line("end", "");
  return 0;
}
