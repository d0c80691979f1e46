import { describe, expect, test } from "vitest";
import {
  contains,
  formatAddress,
  formatPrefix,
  isStationMac,
  networkOf,
  parseAddress,
  parsePrefix,
} from "../src/config/addresses.js";

/** Text, and the same address in its one canonical form; undefined when it is none. */
const ADDRESSES: [string, string | undefined][] = [
  ["10.0.0.1", "10.0.0.1"],
  ["256.0.0.1", undefined],
  ["10.0.0", undefined],
  ["010.0.0.1", undefined],
  ["::", "::"],
  ["::1", "::1"],
  ["fd00:0:0:0:0:0:0:1", "fd00::1"],
  ["FD00::0001", "fd00::1"],
  ["2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ["::ffff:10.1.2.3", "::ffff:a01:203"],
  ["fe80::1%eth0", undefined],
  ["1::2::3", undefined],
  ["", undefined],
];

test.each(ADDRESSES)("address %j is %j", (text, canonical) => {
  const parsed = parseAddress(text);
  expect(parsed && formatAddress(parsed)).toBe(canonical);
});

const NETWORKS: [string, string | undefined][] = [
  ["10.1.2.3/24", "10.1.2.0/24"],
  ["10.1.2.3/0", "0.0.0.0/0"],
  ["10.1.2.255/31", "10.1.2.254/31"],
  ["10.1.2.3/32", "10.1.2.3/32"],
  ["10.1.2.3/33", undefined],
  ["fd00:1:2:3::9/61", "fd00:1:2::/61"],
  ["fd00::1/129", undefined],
  ["10.0.0.0", undefined],
  ["10.0.0.0/", undefined],
  ["10.0.0.0/-1", undefined],
];

test.each(NETWORKS)("network of %j is %j", (text, network) => {
  const parsed = parsePrefix(text);
  expect(parsed && formatPrefix(networkOf(parsed))).toBe(network);
});

const CONTAINED: [string, string, boolean][] = [
  ["10.0.0.0/24", "10.0.0.255", true],
  ["10.0.0.0/24", "10.0.1.0", false],
  ["0.0.0.0/0", "255.1.1.1", true],
  ["10.0.0.0/23", "10.0.1.9", true],
  ["::/0", "10.0.0.1", false],
  ["fd00::/64", "fd00::1:2:3:4", true],
  ["fd00::/64", "fd00:0:0:1::", false],
];

test.each(CONTAINED)("%s contains %s: %s", (prefixText, addressText, expected) => {
  const [prefix, address] = [parsePrefix(prefixText), parseAddress(addressText)];
  if (prefix === undefined || address === undefined) throw new Error("the row is wrong");
  expect(contains(prefix, address)).toBe(expected);
});

describe("a station's MAC address", () => {
  test.each([
    ["02:00:00:00:00:01", true],
    ["AA:bb:cc:dd:ee:ff", true],
    ["03:00:00:00:00:01", false],
    ["00:00:00:00:00:00", false],
    ["02-00-00-00-00-01", false],
    ["02:00:00:00:00", false],
    ["02:00:00:00:00:0g", false],
  ])("%s: %s", (text, expected) => expect(isStationMac(text)).toBe(expected));
});
