import { readdirSync, readFileSync } from "node:fs";

/** A thread of a process, by a part of its name. Throws when there is none. */
export function threadOf(pid: number, name: string): string {
  const tasks = `/proc/${pid}/task`;
  const found = readdirSync(tasks).find((thread) => readFileSync(`${tasks}/${thread}/comm`, "utf8").includes(name));
  if (found === undefined) throw new Error(`process ${pid} has no thread ${name}`);
  return `${tasks}/${found}`;
}

/** Time that a thread (threadOf()) or process (/proc/<pid>) was on a CPU, ns: what others do there meanwhile is not its cost. */
export function cpuTime(path: string): number {
  const threads = path.includes("/task/") ? [path] : readdirSync(`${path}/task`).map((id) => `${path}/task/${id}`);
  return threads.reduce((sum, thread) => sum + Number(readFileSync(`${thread}/schedstat`, "utf8").split(" ")[0]), 0);
}
