/** The known name that a mistyped one probably meant. */

/** Further than this is another word: edits for a name of n letters. */
const editsAllowed = (length: number) => (length <= 3 ? 1 : length <= 6 ? 2 : 3);

/** Optimal string alignment distance: insert, delete, replace, swap of neighbours cost 1 each. */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min(previous[j]! + 1, row[j - 1]! + 1, previous[j - 1]! + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, before[j - 2]! + 1);
      }
      row.push(cost);
    }
    before = previous;
    previous = row;
  }
  return previous[b.length]!;
}

/** @returns the nearest of `names`; undefined when none is near. The first of equals wins. */
export function nearest(written: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = editsAllowed(written.length) + 1;
  for (const name of names) {
    const distance = editDistance(written, name);
    if (distance >= bestDistance) continue;
    best = name;
    bestDistance = distance;
  }
  return best;
}
