package import TenonCore

extension StateMachine {
    /// Takes note of the next entry without its effects: what a witness does with all of them
    /// (Rule C7). It follows the log's time, by which voters judge what comes next (Rule S2), and
    /// the tablet's bounds, by which its half is made; it has no keys, no sessions and no digest.
    ///
    /// - Throws: as ``apply(_:blocks:)``: an entry that no replica can apply stops a witness, too.
    /// - Complexity: O(commands), none of which is looked at but for its length.
    package func skip(_ entry: Entry) throws(KVError) {
        if let failure { throw failure }
        precondition(
            entry.index == appliedIndex.next,
            "entry \(entry.index) passed after \(appliedIndex) of tablet \(tablet)")
        do throws(KVError) {
            switch entry.kind {
            case .commands: lastVersion = try checkedBatch(entry).last
            case .split: try applySplit(entry)
            case .noop, .configuration: break
            }
        } catch {
            failure = error
            throw error
        }
        appliedIndex = entry.index
        appliedTerm = entry.term
    }
}
