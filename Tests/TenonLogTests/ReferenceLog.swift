import TenonCore
import TenonLog

/// What a log must hold, kept in the dumbest way: replaying each record in memory.
struct ReferenceLog: Equatable {
    struct Tablet: Equatable {
        var replica: ReplicaID
        var hardState: HardState?
        var baseIndex = LogIndex.zero
        var baseTerm = Term.zero
        var entries: [Entry] = []

        var lastIndex: LogIndex { entries.last?.index ?? baseIndex }
    }

    var tablets: [TabletID: Tablet] = [:]
    var lowestAllowed: [TabletID: ReplicaID] = [:]
    var metadata: [UInt64: Bytes] = [:]

    mutating func apply(_ records: [LogRecord]) {
        for record in records { apply(record) }
    }

    mutating func apply(_ record: LogRecord) {
        switch record {
        case .entries(let tablet, let replica, let entries):
            change(tablet, replica) { state in
                state.entries.removeAll { $0.index >= entries[0].index }
                state.entries += entries
            }
        case .repaired(let tablet, let replica, let entries):
            change(tablet, replica) { state in
                state.entries.removeAll { old in entries.contains { $0.index == old.index } }
                state.entries += entries
                state.entries.sort { $0.index < $1.index }
            }
        case .hardState(let tablet, let replica, let hardState):
            change(tablet, replica) { $0.hardState = hardState }
        case .trim(let tablet, let replica, let through, let term):
            change(tablet, replica) { state in
                guard through >= state.baseIndex else { return }
                state.entries.removeAll { $0.index <= through }
                state.baseIndex = through
                state.baseTerm = term
            }
        case .reset(let tablet, let replica, let index, let term):
            change(tablet, replica) { state in
                state.entries = []
                state.baseIndex = index
                state.baseTerm = term
            }
        case .remove(let tablet, let replica):
            tablets[tablet] = nil
            lowestAllowed[tablet] = replica.next
        case .metadata(let key, let value):
            metadata[key] = value
        }
    }

    private mutating func change(
        _ tablet: TabletID, _ replica: ReplicaID, _ body: (inout Tablet) -> Void
    ) {
        var state = tablets[tablet] ?? Tablet(replica: replica)
        if state.replica != replica { state = Tablet(replica: replica) }
        body(&state)
        tablets[tablet] = state
    }
}

extension ReferenceLog {
    /// What a recovery found, every verdict aside.
    init(_ recovery: LogRecovery) {
        for found in recovery.tablets {
            tablets[found.tablet] = Tablet(
                replica: found.replica, hardState: found.hardState, baseIndex: found.baseIndex,
                baseTerm: found.baseTerm, entries: found.entries)
        }
        for (key, value) in recovery.metadata { metadata[key] = value }
        for (tablet, lowest) in recovery.tombstones { lowestAllowed[tablet] = lowest }
    }
}
