/**
 * Lines of /etc/viewospasswd: `LOGIN:COMMAND`, comments from `#`, and the words of such a command.
 * Pure.
 */

/** The command of a login; undefined: the login is not listed. The first line counts. */
export function loginCommand(text: string, login: string): string | undefined {
  for (const line of text.split("\n")) {
    const start = line.trimStart();
    if (start.startsWith("#") || !start.startsWith(`${login}:`)) continue;
    return start.slice(login.length + 1).trim();
  }
  return undefined;
}

/**
 * Splits a command at blanks. Single and double quotes keep blanks; a backslash, also inside
 * quotes, keeps the next character. Nothing else is special. Undefined: a quote is not closed.
 */
export function splitCommand(command: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  let isKept = false;
  for (const character of command) {
    if (isKept) {
      word = (word ?? "") + character;
      isKept = false;
    } else if (character === "\\") isKept = true;
    else if (quote !== "") {
      if (character === quote) quote = "";
      else word += character;
    } else if (character === "'" || character === '"') {
      quote = character;
      word ??= "";
    } else if (character === " " || character === "\t") {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? "") + character;
  }
  if (quote !== "" || isKept) return undefined;
  if (word !== undefined) words.push(word);
  return words;
}
