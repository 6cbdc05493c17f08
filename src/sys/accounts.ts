/**
 * Names of users and groups out of /etc/passwd and /etc/group (passwd(5), group(5)). Accounts of a
 * directory service are known by their numbers only.
 */
import { readFileSync } from "node:fs";

const NUMBER = /^\d+$/;

/** Fields of the lines of a file of accounts; none when it cannot be read. */
function rows(path: string): string[][] {
  try {
    return readFileSync(path, "utf8")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => line.split(":"));
  } catch {
    return [];
  }
}

function idOf(path: string, name: string): number | undefined {
  const id = rows(path).find((row) => row[0] === name)?.[2] ?? "";
  return NUMBER.test(id) ? Number(id) : undefined;
}

function nameOf(path: string, id: number): string | undefined {
  return rows(path).find((row) => row[2] === String(id))?.[0];
}

/** The accounts of this system; read anew at each question, because they change. */
export class Accounts {
  readonly #passwd: string;
  readonly #group: string;

  /** @param directory where `passwd` and `group` are. */
  constructor(directory = "/etc") {
    this.#passwd = `${directory}/passwd`;
    this.#group = `${directory}/group`;
  }

  userId(name: string): number | undefined {
    return idOf(this.#passwd, name);
  }

  groupId(name: string): number | undefined {
    return idOf(this.#group, name);
  }

  userName(id: number): string | undefined {
    return nameOf(this.#passwd, id);
  }

  groupName(id: number): string | undefined {
    return nameOf(this.#group, id);
  }

  /** The home directory of a user. */
  home(id: number): string | undefined {
    return rows(this.#passwd).find((row) => row[2] === String(id))?.[5];
  }

  /** Whether a user has a group, as the first or as a further one. */
  isMember(user: number, group: number): boolean {
    const account = rows(this.#passwd).find((row) => row[2] === String(user));
    if (account === undefined) return false;
    if (account[3] === String(group)) return true;
    const members = rows(this.#group)
      .filter((row) => row[2] === String(group))
      .flatMap((row) => (row[3] ?? "").split(","));
    return members.includes(account[0]!);
  }
}
