internal import TenonCore

extension EntryTree {
    /// Checks that the leaves are in order, linked both ways, and hold `expected` entries; that
    /// each is where a search ends; and that heads and skips are those of the keys.
    /// - Complexity: O(n log n).
    func checkInvariants(entryCount expected: Int) {
        #if INVARIANT_CHECKS || DEBUG
            var node = root
            for _ in 0..<depth { node = child(of: node, 0) }
            var (before, lastEntry, found) = (0, 0, 0)
            while node != 0 {
                precondition(
                    leaf(before: node) == before,
                    "leaf \(node) links back to \(leaf(before: node)), not \(before)")
                for slot in 0..<count(of: node) {
                    checkEntry(at: Place(leaf: node, slot: slot), after: lastEntry)
                    lastEntry = entry(of: node, slot)
                }
                found += count(of: node)
                before = node
                node = leaf(after: node)
            }
            precondition(found == expected, "\(found) entries in leaves, \(expected) written")
            checkHeads()
        #endif
    }

    #if INVARIANT_CHECKS || DEBUG
        private func checkEntry(at place: Place, after last: Int) {
            let probe = entries.probe(entry(at: place))
            precondition(
                last == 0 || !isBefore(probe, last), "entry \(entry(at: place)) is before \(last)")
            // Of several equal ones a search finds the first, which is at or before this one.
            guard let first = first(atOrAfter: probe) else {
                preconditionFailure("entry \(entry(at: place)) of leaf \(place.leaf) is not found")
            }
            precondition(
                !isBefore(entries.probe(entry(at: first)), entry(at: place))
                    || entry(at: first) == entry(at: place),
                "a search for entry \(entry(at: place)) ends at \(entry(at: first))")
        }

        /// Whether `probe` comes before an entry.
        private func isBefore(_ probe: EntryProbe, _ entry: Int) -> Bool {
            let order = unsafe compareBytes(probe.key, entries.key(of: entry))
            return order < 0 || (order == 0 && probe.version > entries.version(of: entry))
        }

        /// Checks every node's heads, level by level.
        private func checkHeads() {
            var level = [root]
            for height in stride(from: depth, through: 0, by: -1) {
                var below: [Int] = []
                for node in level {
                    checkHeads(of: node)
                    guard height > 0 else { continue }
                    for slot in 0...count(of: node) { below.append(child(of: node, slot)) }
                }
                level = below
            }
        }

        private func checkHeads(of node: Int) {
            for slot in 0..<EntryTree.slotsMax {
                let head =
                    slot < count(of: node)
                    ? entries.probe(entry(of: node, slot)).head(skip: skip(of: node)) : UInt64.max
                precondition(
                    self.head(of: node, slot) == head,
                    "slot \(slot) of node \(node) has head \(self.head(of: node, slot)), not \(head)"
                )
            }
        }
    #endif
}
