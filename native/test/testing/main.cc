#include <gtest/gtest.h>

#include "testing/eal.h"

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  sluice::testing::eal();
  return RUN_ALL_TESTS();
}
