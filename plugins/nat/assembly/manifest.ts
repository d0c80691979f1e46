import { definePlugin } from "@sluice/sdk";

definePlugin({
  name: "nat",
  version: "1.0.0",
  headerBytes: 192,
  segmentBytes: 16777216,
  failure: "FailClosed",
  configSchema: {
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "services": {
        "type": "array",
        "items": {
          "type": "object",
          "additionalProperties": false,
          "required": ["vip", "port", "protocol", "backends"],
          "properties": {
            "name": { "type": "string" },
            "vip": { "type": "string", "description": "the service's IPv4 or IPv6 address" },
            "port": { "type": "integer", "minimum": 1, "maximum": 65535 },
            "protocol": { "enum": ["tcp", "udp", "sctp"] },
            "shared": { "type": "boolean", "description": "true: the address has other uses too, such as a node's own" },
            "sourceNat": { "type": "string", "description": "the address that backends see instead of the client's" },
            "backends": {
              "type": "array",
              "maxItems": 512,
              "items": {
                "type": "object",
                "additionalProperties": false,
                "required": ["address"],
                "properties": {
                  "address": { "type": "string" },
                  "port": { "type": "integer", "minimum": 1, "maximum": 65535, "description": "the service's when absent" },
                  "weight": { "type": "integer", "minimum": 0, "maximum": 1000, "description": "0: keeps its flows, gets no new ones" }
                }
              }
            }
          }
        }
      },
      "masquerade": {
        "type": "array",
        "items": {
          "type": "object",
          "additionalProperties": false,
          "required": ["source", "to"],
          "properties": {
            "source": { "type": "string", "description": "prefix of the flows' sources" },
            "except": { "type": "array", "items": { "type": "string" }, "description": "prefixes of destinations that see the true source" },
            "to": { "type": "string", "description": "the address that destinations see" },
            "ports": { "type": "string", "pattern": "^[0-9]+-[0-9]+$", "description": "source ports to use, such as 32768-60999" }
          }
        }
      },
      "hairpin": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
          "ipv4": { "type": "string" },
          "ipv6": { "type": "string" }
        },
        "description": "the sources that a backend sees when it calls its own service and gets itself"
      },
      "removedBackend": { "enum": ["keep", "drop"], "description": "TCP and SCTP flows of a backend that is gone; keep unless said otherwise" }
    }
  }
});
