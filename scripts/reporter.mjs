/**
 * Reporter for node:test that writes one JSON object per line: a line per test with its outcome and
 * place, and `{"end":true}` as the last one. The runner adds up many such files; a file without an
 * end line means that its process died.
 */
import { inspect } from "node:util";

/** What a person needs to see of a failure: the assertion's message and the stack below it. */
function describe(error) {
  const cause = error?.cause ?? error;
  if (cause instanceof Error || typeof cause?.stack === "string") {
    const stack = String(cause.stack);
    const text = stack.includes(String(cause.message)) ? stack : `${cause.message}\n${stack}`;
    const kept = text
      .split("\n")
      .filter((line) => !/^\s+at .*(?:node:internal|node:async_hooks)/.test(line))
      .join("\n");
    const nested = cause.cause === undefined ? "" : `\ncaused by: ${describe(cause.cause)}`;
    return kept + nested;
  }
  return typeof cause === "string" ? cause : inspect(cause);
}

/** A parent fails because a subtest did: the subtest has been told already. */
function isEcho(details) {
  return details?.error?.failureType === "subtestsFailed";
}

export default async function* ndjson(source) {
  const names = [];
  for await (const event of source) {
    const { type, data } = event;
    if (type === "test:start") {
      names.length = data.nesting;
      names[data.nesting] = data.name;
      continue;
    }
    if (type !== "test:pass" && type !== "test:fail") continue;
    const { details } = data;
    const failed = type === "test:fail";
    if (isEcho(details)) continue;
    const skipped = data.skip !== undefined && data.skip !== false;
    if (details?.type === "suite" && !failed && !skipped) continue;
    const todo = data.todo !== undefined && data.todo !== false;
    const name = [...names.slice(0, data.nesting), data.name].join(" > ");
    const place = { name, file: data.file, line: data.line, column: data.column };
    if (failed) {
      yield `${JSON.stringify({ outcome: "failed", ...place, error: describe(details?.error) })}\n`;
    } else if (skipped || todo) {
      const given = skipped ? data.skip : data.todo;
      const reason =
        typeof given === "string" && given !== "" ? given : todo ? "todo" : "no reason";
      yield `${JSON.stringify({ outcome: "skipped", ...place, reason })}\n`;
    } else {
      yield `${JSON.stringify({ outcome: "passed", name })}\n`;
    }
  }
  yield '{"end":true}\n';
}
