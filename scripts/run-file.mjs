/** Runs one process of tests under an account, within a time limit, and reads its report. */
import { spawn } from "node:child_process";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

/** Output kept of one process, in characters: the end of it is what tells the story. */
const OUTPUT_CHARACTERS_MAX = 20_000;

/** How long what a test started may take to end after the test itself, in milliseconds. */
const LEFTOVER_GRACE_MS = 3000;

/** Living processes of a process group (field 5 of /proc/PID/stat, proc(5)): "pid name". */
function membersOf(group) {
  const found = [];
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const [state, , pgrp] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (Number(pgrp) !== group || state === "Z" || state === "X") continue;
      found.push(`${pid} ${stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"))}`);
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

/** Waits until a group is empty; what stays is killed and told. */
async function clearGroup(group) {
  const deadline = Date.now() + LEFTOVER_GRACE_MS;
  let members = membersOf(group);
  while (members.length > 0 && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    members = membersOf(group);
  }
  if (members.length > 0) killGroup(group);
  return members;
}

function killGroup(group) {
  try {
    process.kill(-group, "SIGKILL");
  } catch {
    // Already gone.
  }
}

function readReport(path) {
  let text = "";
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return { rows: [], ended: false };
  }
  const rows = [];
  let ended = false;
  for (const line of text.split("\n")) {
    if (line === "") continue;
    try {
      const row = JSON.parse(line);
      if (row.end === true) ended = true;
      else rows.push(row);
    } catch {
      // The last line of a process that was killed.
    }
  }
  rmSync(path, { force: true });
  return { rows, ended };
}

/**
 * Runs `node [words]` with the NDJSON reporter.
 * @param account see accounts.mjs
 * @param words the script and its arguments
 * @param limitMs after this the whole process group is killed and a failure is reported
 * @returns rows as the reporter wrote them, failures of the process itself included, and its output
 */
export async function runTests(account, words, limitMs) {
  const report = join(account.folder, "report", "rows.ndjson");
  const [program, ...args] = [
    ...account.prefix,
    account.node,
    "--enable-source-maps",
    `--test-reporter=${join(account.root, "scripts", "reporter.mjs")}`,
    `--test-reporter-destination=${report}`,
    ...words,
  ];
  const child = spawn(program, args, {
    cwd: account.root,
    // A server of views that a test leaves behind ends soon.
    env: { ...account.env, V2_SERVER_IDLE_S: "2" },
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const keep = (chunk) => {
    output = (output + chunk).slice(-OUTPUT_CHARACTERS_MAX);
  };
  child.stdout.setEncoding("utf8").on("data", keep);
  child.stderr.setEncoding("utf8").on("data", keep);
  let tooLate = false;
  const timer = setTimeout(() => {
    tooLate = true;
    killGroup(child.pid);
  }, limitMs);
  const onSignal = () => killGroup(child.pid);
  process.once("exit", onSignal);
  const { code, signal, error } = await new Promise((resolve) => {
    child.once("error", (error) => resolve({ error }));
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });
  clearTimeout(timer);
  process.removeListener("exit", onSignal);
  const left = child.pid === undefined ? [] : await clearGroup(child.pid);
  const { rows, ended } = readReport(report);
  const fail = (name, text) => rows.push({ outcome: "failed", name, error: text });
  if (error !== undefined) fail("the process starts", String(error));
  else if (tooLate) fail("the file ends in time", `killed after ${limitMs / 1000} s`);
  else if (!ended)
    fail("the process lives to the end", `it ended with ${signal ?? `code ${code}`}`);
  else if (code !== 0 && !rows.some((row) => row.outcome === "failed")) {
    fail(
      "the process ends well",
      `all tests passed, yet it ended with ${signal ?? `code ${code}`}`,
    );
  }
  if (left.length > 0 && !tooLate) fail("nothing is left running", left.join(", "));
  return { rows, output };
}
