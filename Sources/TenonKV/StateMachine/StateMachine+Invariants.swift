internal import TenonCore

extension StateMachine {
    /// What always holds between two calls.
    func checkInvariants() {
        #if INVARIANT_CHECKS || DEBUG
            precondition(
                historyFloor <= lastVersion,
                "history floor \(historyFloor) above the last version \(lastVersion)")
            precondition(
                sessions.recordCount <= configuration.sessionsMax,
                "\(sessions.recordCount) outcomes kept, at most \(configuration.sessionsMax)")
            precondition(
                sessions.clientCount <= configuration.sessionsMax,
                "\(sessions.clientCount) clients kept, at most \(configuration.sessionsMax)")
            // The whole table is walked now and then: its cost must not grow with every entry.
            if appliedIndex.rawValue.isMultiple(of: 64) { sessions.checkInvariants() }
        #endif
    }
}

extension SessionTable {
    /// The counts are those of the records; every record is above its client's mark and not
    /// below the floor, and sequences increase.
    func checkInvariants() {
        #if INVARIANT_CHECKS || DEBUG
            var count = 0
            var bytes = 0
            var unstored = 0
            for client in clients where client.isLiving {
                var last: SequenceNumber?
                precondition(
                    !client.isChanged || client.isListed, "client \(client.id) is not listed")
                for record in client.living {
                    count += 1
                    bytes += record.bytes
                    if !record.isStored { unstored += 1 }
                    precondition(
                        record.isStored || client.isChanged,
                        "an unwritten record of client \(client.id), which is unchanged")
                    precondition(
                        record.sequence >= client.mark,
                        "sequence \(record.sequence) kept below the mark \(client.mark)")
                    precondition(
                        record.firstIssue >= floor && record.firstIssue <= client.latestIssue,
                        "issue \(record.firstIssue) not in \(floor)…\(client.latestIssue)")
                    precondition(
                        last.map { $0 < record.sequence } ?? true,
                        "sequence \(record.sequence) after \(last?.rawValue ?? 0)")
                    last = record.sequence
                }
            }
            precondition(
                count == recordCount && bytes == recordBytes,
                "\(count) records of \(bytes) B counted as \(recordCount) of \(recordBytes) B")
            precondition(
                unstored == unstoredCount, "\(unstored) unwritten, counted \(unstoredCount)")
        #endif
    }
}
