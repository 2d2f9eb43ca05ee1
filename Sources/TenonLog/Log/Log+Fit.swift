internal import TenonCore

extension Log {
    /// Where a replica's log stands while records of one append are looked at.
    private struct Standing {
        var replica: ReplicaID
        var base: LogIndex
        var last: LogIndex
    }

    /// Traps unless each record fits what the ones before it leave. A gap written to disk would
    /// be found as damage by the next recovery, far from its cause.
    func checkFit(_ records: [LogRecord]) {
        var standings: [TabletID: Standing] = [:]
        for record in records {
            switch record {
            case .entries(let tablet, let replica, let entries):
                guard let first = entries.first, let last = entries.last else {
                    preconditionFailure("a record of no entries for tablet \(tablet)")
                }
                var standing = standing(of: tablet, replica, standings)
                precondition(
                    first.index > standing.base && first.index <= standing.last.next,
                    "entries of tablet \(tablet) from \(first.index), "
                        + "log from \(standing.base) to \(standing.last)")
                standing.last = last.index
                standings[tablet] = standing
            case .repaired(let tablet, let replica, let entries):
                guard let first = entries.first, let last = entries.last else {
                    preconditionFailure("a record of no entries for tablet \(tablet)")
                }
                let standing = standing(of: tablet, replica, standings)
                precondition(
                    first.index > standing.base && last.index <= standing.last,
                    "repaired entries of tablet \(tablet) from \(first.index) to \(last.index), "
                        + "log from \(standing.base) to \(standing.last)")
            case .hardState(let tablet, let replica, _):
                standings[tablet] = standing(of: tablet, replica, standings)
            case .trim(let tablet, let replica, let index, _):
                var standing = standing(of: tablet, replica, standings)
                standing.base = max(standing.base, index)
                standing.last = max(standing.last, index)
                standings[tablet] = standing
            case .reset(let tablet, let replica, let index, _):
                standings[tablet] = standing(of: tablet, replica, standings)
                standings[tablet] = Standing(replica: replica, base: index, last: index)
            case .remove(let tablet, let replica):
                // A late removal of an older replica leaves the living one alone.
                if let state = index.tablets[tablet], state.replica > replica { continue }
                standings[tablet] = Standing(replica: replica.next, base: .zero, last: .zero)
            case .metadata:
                break
            }
        }
    }

    private func standing(
        of tablet: TabletID, _ replica: ReplicaID, _ standings: [TabletID: Standing]
    ) -> Standing {
        if let standing = standings[tablet], standing.replica == replica { return standing }
        if let removed = standings[tablet]?.replica ?? index.tombstones[tablet]?.value.next {
            precondition(
                replica >= removed, "replica \(replica) of tablet \(tablet), from \(removed) on")
        }
        guard let state = index.tablets[tablet], state.replica >= replica else {
            return Standing(replica: replica, base: .zero, last: .zero)
        }
        precondition(
            state.replica == replica,
            "replica \(replica) of tablet \(tablet), living is \(state.replica)")
        return Standing(replica: replica, base: state.baseIndex, last: state.lastIndex)
    }
}
