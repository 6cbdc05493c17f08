import assert from "node:assert/strict";
import { test } from "node:test";
import { completeConsole, type ConsoleWords } from "./console-completion.ts";

const WORDS: ConsoleWords = {
  commands: ["help [arg]", "load path", "logout", "port =", "port/print [N]", "port/showinfo"]
    .map((line) => line.split(" "))
    .map(([path, syntax = ""]) => ({
      path: path!,
      syntax: syntax === "=" ? "" : syntax,
      help: "",
      isMenu: syntax === "=",
    })),
  debugCategories: ["port/+", "port/ep/+", "hash/+"],
};

test("menus are completed one level at a time", () => {
  assert.deepEqual(completeConsole("", WORDS), [["help", "load", "logout", "port/"], ""]);
  assert.deepEqual(completeConsole("po", WORDS), [["port/"], "po"]);
  assert.deepEqual(completeConsole("port/", WORDS), [["port/print", "port/showinfo"], "port/"]);
});

test("a command that takes arguments gets a space, another does not", () => {
  assert.deepEqual(completeConsole("port/p", WORDS)[0], ["port/print "]);
  assert.deepEqual(completeConsole("port/s", WORDS)[0], ["port/showinfo"]);
});

test("the arguments of help and debug are completed", () => {
  assert.deepEqual(completeConsole("help lo", WORDS), [["load", "logout"], "lo"]);
  assert.deepEqual(completeConsole("debug/add port/", WORDS), [["port/+", "port/ep/"], "port/"]);
  assert.deepEqual(completeConsole("port/print 3", WORDS)[0], []);
});
