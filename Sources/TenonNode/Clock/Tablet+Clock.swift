import TenonCore
import TenonKV
import TenonRaft

/// What a voter takes of a leader's entries, by their timestamps (Rule S2).
extension Tablet {
    /// How far a timestamp may be above the tablet's last one and still be a logical step: what a
    /// millisecond holds.
    private static let logicalStepsMax: UInt64 = 1 << 16
    /// How long a leader goes on with entries that nobody acknowledges because of their time.
    private static let untimelyPatience = TimeSpan.seconds(2)

    /// `append` without its first entry that is too far ahead of `latest`, and without what comes
    /// after it: as if these had not arrived. The leader sends them again, and by then the time
    /// may have come.
    ///
    /// Not taken, rather than taken and not acknowledged: an entry of a far future in a voter's
    /// log would stand between the tablet and all that comes after it. What is committed already
    /// passes; nothing hangs on this replica then.
    func timely(
        _ append: RaftMessage.Append, notAfter latest: Timestamp, now: Instant
    ) -> RaftMessage.Append {
        var last: Timestamp?
        for (place, entry) in append.entries.enumerated() where entry.kind == .commands {
            guard let stamps = CommandBatch.stamps(of: entry.payload) else { continue }
            let isTimely =
                stamps.last <= latest || entry.index <= append.commit
                || raft.term(at: entry.index) == entry.term
                || isLogicalStep(to: stamps.last, from: last ?? lastTimestamp(before: entry.index))
            guard isTimely else {
                return withhold(append, from: place, at: stamps.last, now: now)
            }
            last = stamps.last
        }
        return append
    }

    private func isLogicalStep(to timestamp: Timestamp, from last: Timestamp) -> Bool {
        timestamp.rawValue <= last.rawValue + Tablet.logicalStepsMax
    }

    /// The timestamp of the last commands before `index` in the log, or in the state machine.
    func lastTimestamp(before index: LogIndex) -> Timestamp {
        var place = min(index, raft.lastPosition.index.next)
        while place.previous > machine.appliedIndex {
            place = place.previous
            if let entry = raft.entry(at: place), entry.kind == .commands,
                let stamps = CommandBatch.stamps(of: entry.payload)
            {
                return stamps.last
            }
        }
        return machine.lastVersion
    }

    private func withhold(
        _ append: RaftMessage.Append, from place: Int, at timestamp: Timestamp, now: Instant
    ) -> RaftMessage.Append {
        reached(.untimelyEntryWithheld)
        var taken = append
        taken.entries = Array(append.entries[..<place])
        untimelyEntries += 1
        if untimelyNoticedAt.map({ now.since($0) >= .seconds(10) }) ?? true {
            untimelyNoticedAt = now
            gathered.notices.append(
                Notice(
                    .warning,
                    "tablet \(id): entry \(append.entries[place].index) has a time "
                        + "(\(timestamp.wallTime.milliseconds) ms) more than 500 ms ahead of the "
                        + "agreed one: not acknowledged"))
        }
        return taken
    }

    /// Lets go of a leadership whose entries are so far ahead of the agreed clock that no voter
    /// takes them: a leader elected anew goes on without them.
    func stepDownIfUntimely(latest: Timestamp, now: Instant) {
        let isUntimely =
            raft.role == .leader && raft.lastPosition.index > raft.commit && clock.last > latest
            && !isLogicalStep(to: clock.last, from: machine.lastVersion)
        guard isUntimely else { return untimelySince = nil }
        guard let since = untimelySince else { return untimelySince = now }
        guard now.since(since) >= Tablet.untimelyPatience else { return }
        reached(.untimelyLeaderSteppedDown)
        untimelySince = nil
        raft.stepDown(now: now)
    }
}
