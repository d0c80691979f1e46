import { Counter } from "@sluice/sdk";

const rule0 = new Counter("rule_0", "Flows decided by rules with counter 0");
const rule1 = new Counter("rule_1", "Flows decided by rules with counter 1");
const rule2 = new Counter("rule_2", "Flows decided by rules with counter 2");
const rule3 = new Counter("rule_3", "Flows decided by rules with counter 3");
const rule4 = new Counter("rule_4", "Flows decided by rules with counter 4");
const rule5 = new Counter("rule_5", "Flows decided by rules with counter 5");
const rule6 = new Counter("rule_6", "Flows decided by rules with counter 6");
const rule7 = new Counter("rule_7", "Flows decided by rules with counter 7");

/** Counts a decision under a rule's own counter; any other number counts nowhere. */
export function countRule(number: u32): void {
  switch (number) {
    case 0: return rule0.add();
    case 1: return rule1.add();
    case 2: return rule2.add();
    case 3: return rule3.add();
    case 4: return rule4.add();
    case 5: return rule5.add();
    case 6: return rule6.add();
    case 7: return rule7.add();
  }
}
