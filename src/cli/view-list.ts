/** `v2 view list`: the running views, those made in a view below it. */
import { listAllViews, type RegisteredView } from "../engine/index.ts";
import type { Invocation } from "./command.ts";
import { print, printJson } from "./output.ts";

/** Views with how deep they stand below others of the list, each before those made in it. */
function asTree(views: readonly RegisteredView[]): { view: RegisteredView; depth: number }[] {
  const isIn = (inner: RegisteredView, outer: RegisteredView): boolean =>
    inner.supervisorPid === outer.supervisorPid && inner.parentView === outer.view;
  const under = (
    view: RegisteredView,
    depth: number,
  ): { view: RegisteredView; depth: number }[] => {
    const inner = views.filter((one) => isIn(one, view)).sort((a, b) => a.view - b.view);
    return [{ view, depth }, ...inner.flatMap((one) => under(one, depth + 1))];
  };
  const outermost = views.filter((view) => !views.some((outer) => isIn(view, outer)));
  return outermost.flatMap((view) => under(view, 0));
}

/** Prints one line per view, or a JSON array. */
export async function run(invocation: Invocation): Promise<number> {
  const listed = asTree(listAllViews());
  if (invocation.options["json"] === true) {
    printJson(listed.map(({ view }) => view));
    return 0;
  }
  for (const { view, depth } of listed) {
    const label = view.name === "" ? `[${view.supervisorPid}.${view.view}]` : view.name;
    const place = `${"  ".repeat(depth)}${label}`.padEnd(20);
    print(`${place} pid ${view.pid}  supervisor ${view.supervisorPid}\n`);
  }
  return 0;
}
