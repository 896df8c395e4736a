// What C++ makes of side modules: virtual and inline functions, a variable with a constructor, memory of the main module's.
#include <string>
#include <vector>

struct Shape {
  virtual ~Shape() = default;
  virtual double area() const = 0;
};
struct Square : Shape {
  double side;
  explicit Square(double side) : side(side) {}
  double area() const override { return side * side; }
};
struct Circle : Shape {
  double radius;
  explicit Circle(double radius) : radius(radius) {}
  double area() const override { return 3 * radius * radius; }
};

static std::vector<int> made{1, 2, 3};

extern "C" std::string describe(const std::string &text) {
  std::vector<Shape *> shapes{new Square(2), new Circle(1)};
  double sum = 0;
  for (auto *shape : shapes) {
    sum += shape->area();
    delete shape;
  }
  return text + ": " + std::to_string(static_cast<int>(sum)) + " of " + std::to_string(made.size());
}
