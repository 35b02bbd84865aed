#include "waggle/kube/address.h"

#include <gtest/gtest.h>

namespace waggle {
namespace {

Address address(std::string_view text) { return Address::parse(text).value(); }
Cidr cidr(std::string_view text) { return Cidr::parse(text).value(); }

TEST(AddressText, ReadsBothFamiliesAndWritesThemBack) {
  for (const auto* text : {"0.0.0.0", "10.0.0.1", "255.255.255.255", "::", "::1", "fd00::10:1"})
    EXPECT_EQ(address(text).to_string(), text);
  EXPECT_EQ(address("10.0.0.1").family(), Family::v4);
  EXPECT_EQ(address("::1").family(), Family::v6);
  EXPECT_EQ(address("10.0.0.1"), Address::v4(0x0a000001));
}

TEST(AddressText, RefusesWhatIsNoAddress) {
  using namespace std::string_view_literals;
  for (const auto text : {""sv, "10.0.0"sv, "10.0.0.256"sv, "10.0.0.01"sv, " 10.0.0.1"sv,
                          "10.0.0.1/8"sv, "fd00:::1"sv, "fe80::1%eth0"sv, "::ffff:10.0.0.1"sv,
                          "10.0.0.1\0x"sv, "::1\0"sv, "localhost"sv})
    EXPECT_FALSE(Address::parse(text).has_value()) << text;
}

TEST(AddressArithmetic, CarriesThroughItsFamilyAndWraps) {
  EXPECT_EQ(address("10.0.0.255").plus(1), address("10.0.1.0"));
  EXPECT_EQ(address("255.255.255.255").plus(1), address("0.0.0.0"));
  EXPECT_EQ(address("fd00::ffff:ffff:ffff:ffff").plus(1), address("fd00:0:0:1::"));
  EXPECT_EQ(address("10.0.0.0").plus(0x01020304), address("11.2.3.4"));
}

TEST(CidrText, RefusesHostBitsAndBadLengths) {
  for (const auto* text :
       {"10.0.0.1/8", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/-1",
        "10.0.0.0/+8", "10.0.0.0/8 ", "fd00::1/64", "::/129", "/8", "10.0.0.0/4294967304"})
    EXPECT_FALSE(Cidr::parse(text).has_value()) << text;
  EXPECT_EQ(Cidr::parse("10.1.2.3/8").error().advice, "write 10.0.0.0/8");
}

TEST(CidrContainment, HoldsWithinAFamilyOnly) {
  EXPECT_TRUE(cidr("10.0.0.0/8").contains(address("10.255.0.1")));
  EXPECT_FALSE(cidr("10.0.0.0/8").contains(address("11.0.0.0")));
  EXPECT_TRUE(cidr("0.0.0.0/0").contains(address("1.2.3.4")));
  EXPECT_FALSE(cidr("0.0.0.0/0").contains(address("::1")));
  EXPECT_FALSE(cidr("::/0").contains(address("1.2.3.4")));
  EXPECT_TRUE(cidr("10.0.0.0/8").contains(cidr("10.1.0.0/16")));
  EXPECT_FALSE(cidr("10.1.0.0/16").contains(cidr("10.0.0.0/8")));
  EXPECT_TRUE(cidr("10.0.0.1/32").contains(address("10.0.0.1")));
}

}  // namespace
}  // namespace waggle
