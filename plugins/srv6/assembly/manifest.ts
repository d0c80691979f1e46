import { definePlugin } from "@sluice/sdk";

definePlugin({
  name: "srv6",
  version: "1.0.0",
  headerBytes: 256,
  segmentBytes: 4194304,
  failure: "FailClosed",
  configSchema: {
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "source": { "type": "string", "description": "source of outer headers where a policy has none: an IPv6 address" },
      "encapsAt": { "enum": ["prerouting", "postrouting"], "description": "hook where policies apply; postrouting unless said otherwise" },
      "localSids": {
        "type": "array",
        "items": {
          "type": "object",
          "additionalProperties": false,
          "required": ["sid", "behaviour"],
          "properties": {
            "sid": { "type": "string", "description": "an IPv6 address, or a prefix of several SIDs" },
            "behaviour": { "enum": ["End", "End.X", "End.DT4", "End.DT6", "End.DX4", "End.DX6"] },
            "table": { "type": "integer", "minimum": 0, "maximum": 65535, "description": "End.DT4, End.DT6: routing table of the inner packet; default 0" },
            "port": { "type": "integer", "minimum": 0, "maximum": 1023, "description": "End.X, End.DX4, End.DX6: number of the port to leave by" },
            "nextHop": { "type": "string", "description": "End.X, End.DX4, End.DX6: the neighbour; the inner destination when absent" }
          }
        }
      },
      "policies": {
        "type": "array",
        "items": {
          "type": "object",
          "additionalProperties": false,
          "required": ["match", "segments"],
          "properties": {
            "match": { "type": "string", "description": "prefix of destinations, IPv4 or IPv6" },
            "matchSource": { "type": "string", "description": "prefix of sources; any when absent" },
            "segments": { "type": "array", "minItems": 1, "maxItems": 6, "items": { "type": "string" }, "description": "SIDs in the order of the path" },
            "source": { "type": "string" },
            "hopLimit": {
              "anyOf": [{ "type": "integer", "minimum": 1, "maximum": 255 }, { "enum": ["inner"] }],
              "description": "of the outer header: 1 to 255, or inner; default 64"
            },
            "flowLabel": { "enum": ["hash", "inner"], "description": "of the outer header: from the flow's hash, or the inner packet's" },
            "reduced": { "type": "boolean", "description": "true: H.Encaps.Red, the first segment is only in the destination" }
          }
        }
      }
    }
  }
});
