import { definePlugin } from "@sluice/sdk";

definePlugin({
  name: "policy",
  version: "1.0.0",
  headerBytes: 128,
  segmentBytes: 16777216,
  failure: "FailClosed",
  configSchema: {
    "type": "object",
    "additionalProperties": false,
    "required": ["defaultAction"],
    "properties": {
      "defaultAction": { "enum": ["allow", "deny"], "description": "What happens where no rule matches" },
      "invalid": { "enum": ["drop", "allow"], "description": "Packets that fit no connection; drop unless said otherwise" },
      "rules": {
        "type": "array",
        "maxItems": 4096,
        "items": {
          "type": "object",
          "additionalProperties": false,
          "required": ["action"],
          "properties": {
            "name": { "type": "string" },
            "action": { "enum": ["allow", "deny"] },
            "priority": { "type": "integer", "minimum": -1000000, "maximum": 1000000, "description": "Lower comes first; then the order in the file" },
            "direction": { "enum": ["forward", "input", "output"], "description": "Through the node, to it, or from it; all when absent" },
            "source": { "$ref": "#/$defs/prefixes" },
            "destination": { "$ref": "#/$defs/prefixes" },
            "protocol": {
              "anyOf": [
                { "enum": ["any", "tcp", "udp", "sctp", "icmp", "icmpv6"] },
                { "type": "integer", "minimum": 0, "maximum": 255 }
              ],
              "description": "any, tcp, udp, sctp, icmp, icmpv6 or a number from 0 to 255"
            },
            "sourcePorts": { "$ref": "#/$defs/ports" },
            "destinationPorts": { "$ref": "#/$defs/ports" },
            "counter": { "type": "integer", "minimum": 0, "maximum": 7, "description": "0 to 7: the counter rule_<n> that counts its decisions" },
            "log": { "type": "boolean", "description": "Puts the rule's place in the file, from 1, into a packet's trace" }
          }
        }
      }
    },
    "$defs": {
      "prefixes": {
        "type": "array",
        "minItems": 1,
        "items": { "type": "string" },
        "description": "addresses or prefixes such as 10.0.0.0/8 or fd00::/64"
      },
      "ports": {
        "type": "array",
        "minItems": 1,
        "items": {
          "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": 65535 },
            { "type": "string", "pattern": "^[0-9]+-[0-9]+$" }
          ]
        },
        "description": "ports or ranges such as 443 or \"8000-8099\""
      }
    }
  }
});
