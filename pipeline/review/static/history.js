// One's own decisions that stand, oldest first: what was undone and done again stands.
export function inForce(newestFirst) {
  const root = new Map();
  const gone = new Set();
  for (const row of newestFirst.toReversed()) {
    const first = root.get(row.undoes) ?? row.undoes;
    if (row.action !== "undo") continue;
    root.set(row.decision_id, first);
    if (!gone.delete(first)) gone.add(first);
  }
  return newestFirst.filter((r) => r.action !== "undo" && !gone.has(r.decision_id)).reverse();
}
