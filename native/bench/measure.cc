#include "measure.h"

#include <algorithm>

namespace sluice::bench {

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<long>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::vector<double> interleave(int rounds, const std::vector<std::function<double()>>& contenders) {
  std::vector<std::vector<double>> seen(contenders.size());
  for (int round = -1; round < rounds; round++) {
    for (size_t i = 0; i < contenders.size(); i++) {
      const double value = contenders[i]();
      if (round >= 0) seen[i].push_back(value);
    }
  }
  std::vector<double> medians;
  for (const auto& values : seen) medians.push_back(median(values));
  return medians;
}

}  // namespace sluice::bench
